import pytest
from playwright.sync_api import expect

from foundation.ids import new_id

RULE = {"if": [{"attribute": "amount", "operator": "gt", "values": [100]}], "serve": "pooled"}
SPLIT = [{"variant": "direct", "percentage": 25}, {"variant": "manual", "percentage": 75}]


@pytest.fixture
def key(product):
    """A flag with a rule, a split and an owner, for this test alone."""
    key = new_id("route").replace("_", ".")
    document = {
        "enabled": True,
        "variants": {"direct": 1, "pooled": 2, "manual": 3},
        "offVariant": "manual",
        "onVariant": "direct",
        "rules": [RULE],
        "rollout": {"split": SPLIT},
        "owner": f"team of {key}",
    }
    product.api("POST", "flags", {"key": key, **document})
    yield key
    product.api("DELETE", f"flags/{key}", {})


def explain(tab, context):
    tab.get_by_label("as JSON").fill(context)
    tab.get_by_role("button", name="Explain").click()


@pytest.mark.parametrize("scripts", [True, False])
def test_the_playground_tells_each_step_with_and_without_scripts(tabs, product, key, scripts):
    tab = tabs.open(product.page(f"flags/{key}"), java_script_enabled=scripts)
    tab.get_by_role("link", name="Playground").click()
    expect(tab.get_by_label("as JSON")).to_have_value('{\n  "targetingKey": "user-1",\n  "amount": 100\n}')
    explain(tab, '{"targetingKey": "user-1", "amount": 101}')
    steps = tab.get_by_role("list", name="Steps").get_by_role("listitem")
    expect(steps).to_have_count(2)
    expect(steps.last).to_contain_text("amount gt 100 holds (amount is 101)")
    expect(steps.last).to_contain_text("decides")
    expect(tab.get_by_role("status", name="Result")).to_contain_text("variant pooled, TARGETING_MATCH")
    explain(tab, '{"targetingKey": "user-1", "amount": 1}')
    expect(steps).to_have_count(3)
    expect(steps.last).to_contain_text("of 100,000 is below")
    explain(tab, "{")
    expect(tab.get_by_role("alert")).to_contain_text("is not JSON")
    expect(tab.get_by_label("as JSON")).to_have_value("{")
    tabs.complaints = [each for each in tabs.complaints if "400" not in each]


def test_an_answer_stays_while_the_page_follows_what_others_change(tabs, product, key):
    tab = tabs.open(product.page(f"flags/{key}/explain"))
    explain(tab, '{"targetingKey": "user-1", "amount": 101}')
    expect(tab.get_by_role("status", name="Result")).to_contain_text("pooled")
    expect(tab.locator("[data-state=contact]")).to_have_text("live")
    product.api("POST", f"flags/{key}/disable", {})
    expect(tab.get_by_role("switch", name=key)).to_have_attribute("aria-checked", "false")
    expect(tab.get_by_role("status", name="Result")).to_contain_text("pooled")


def test_a_domain_is_asked_for_beside_a_split_and_undone(tabs, product, key):
    tab = tabs.open(product.page(f"flags/{key}"))
    expect(tab.get_by_text("split: direct 25 % · manual 75 %")).to_be_visible()
    tab.get_by_label("balance, percent;").fill("40")
    tab.get_by_role("button", name="Save").click()
    expect(tab.locator("#said-tracks")).to_contain_text("Saved as revision")
    assert product.flag(key)["rollout"] == {"split": SPLIT, "domains": {"balance": 40}}
    tab.locator("#said-tracks").get_by_role("button", name="Undo").click()
    expect(tab.locator("#said-tracks")).to_contain_text("Undone as revision")
    assert product.flag(key)["rollout"] == {"split": SPLIT}


def test_the_list_is_narrowed_down_by_owner(tabs, product, key):
    tab = tabs.open(product.page("flags"))
    tab.get_by_role("link", name=f"team of {key}").click()
    expect(tab.locator("article.flag:visible")).to_have_count(1)
    expect(tab.get_by_role("link", name=key, exact=True)).to_be_visible()
    tab.get_by_role("link", name="Do not narrow down by owner").click()
    expect(tab.get_by_role("switch", name="useYamlMessaging")).to_be_visible()
