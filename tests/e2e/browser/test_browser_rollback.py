import json
import re

from playwright.sync_api import expect

from foundation.documents import read_json
from rollout.receipt import verify


def test_the_lever_asks_for_a_reason_and_the_environments_name(tabs, product):
    tab = tabs.open(product.page("rollback"))
    lever = tab.get_by_role("button", name="Pull the lever")
    expect(lever).to_have_attribute("aria-disabled", "true")
    tab.get_by_label("Reason").fill("a drill")
    tab.get_by_label(re.compile("^Type")).fill("prod")
    lever.click(force=True)
    expect(tab.locator("#said-lever")).to_contain_text("typed out")
    assert product.api("GET", "rollback")["rollbacks"] == []
    tab.get_by_label(re.compile("^Type")).fill(product.ready["environment"])
    expect(lever).to_have_attribute("aria-disabled", "false")


def test_a_rollback_goes_step_by_step_before_your_eyes_and_ends_in_a_receipt(tabs, product, tmp_path):
    product.set_percentages("useYamlMessaging", 100)
    tab = tabs.open(product.page("rollback"))
    onlooker = tabs.open(product.page("flags/useYamlMessaging"))
    tab.get_by_label("Reason").fill("a drill")
    tab.get_by_label(re.compile("^Type")).fill(product.ready["environment"])
    tab.get_by_role("button", name="Pull the lever").click()
    steps = tab.get_by_role("list", name="Steps").get_by_role("listitem")
    expect(steps).to_have_count(7)
    expect(steps.nth(1).locator(".lamp.clear")).to_be_visible()
    expect(onlooker.get_by_text("Nothing may enable it until somebody releases it")).to_be_visible()
    expect(onlooker.get_by_role("switch")).to_be_disabled()
    expect(tab.locator("[data-verdict]")).to_contain_text("Verified safe", timeout=60_000)
    expect(steps.locator(".lamp.clear")).to_have_count(7)

    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download receipt").click()
    receipt = read_json(download.value.path().read_bytes())
    verify(receipt, receipt["signature"]["publicKey"])
    assert receipt["exit"] == 0
    assert json.dumps(receipt["flags"]).count("useYamlMessaging")
    tab.goto(product.page("rollback"))
    expect(tab.get_by_role("row").filter(has_text=receipt["receipt"])).to_contain_text("Verified safe")

    onlooker.get_by_label("Why release it").fill("the drill is over")
    onlooker.get_by_role("button", name="Release").click()
    expect(onlooker.locator("#said-flag")).to_contain_text("Released as revision")
    expect(onlooker.get_by_role("switch")).to_be_enabled()
