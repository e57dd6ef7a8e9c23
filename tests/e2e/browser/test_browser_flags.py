import re

import pytest
from playwright.sync_api import expect

FLAG = "useYamlMessaging"
DOMAINS = ("collections", "distributions", "balance", "notifications")


@pytest.fixture
def flag_tab(tabs, product):
    return tabs.open(product.page(f"flags/{FLAG}"))


def switch(tab, key=FLAG):
    return tab.get_by_role("switch", name=key)


def save(tab, reason="because"):
    tab.get_by_label("Why").fill(reason)
    tab.get_by_role("button", name="Save").click()


def mix(tab, domain):
    return tab.locator(f'tr.domain[data-domain="{domain}"] .figures')


def test_half_of_one_domain_turns_to_yaml_before_your_eyes_and_back(tabs, product, flag_tab):
    instances = tabs.open(product.page("instances"))
    for domain in ("collections", "balance"):
        expect(mix(instances, domain)).to_have_text("JSON 100 %", timeout=30_000)
    instances.evaluate("window.sameDocument = true")

    flag_tab.get_by_label("collections, percent;").fill("50")
    expect(flag_tab.get_by_text("collections default → 50 %")).to_be_visible()
    save(flag_tab)
    expect(flag_tab.locator("#said-tracks")).to_contain_text(
        re.compile("Saved as revision .*all [0-9]+ workers have it")
    )
    expect(mix(instances, "collections")).to_have_text(re.compile(r"^YAML \d.* · JSON \d"), timeout=30_000)
    expect(flag_tab.locator('[data-track="collections"] [data-seen]')).to_have_text(re.compile(r"^[1-9][0-9.]* % of"))
    for domain in DOMAINS[1:]:
        expect(mix(instances, domain)).not_to_contain_text("YAML")

    switch(flag_tab).click()
    expect(flag_tab.locator("#said-flag")).to_contain_text("Disabled as revision")
    expect(flag_tab.locator("#said-flag")).to_contain_text(re.compile("all [0-9]+ workers have it"))
    expect(mix(instances, "collections")).to_have_text("JSON 100 %", timeout=30_000)
    assert instances.evaluate("window.sameDocument"), "the page was reloaded"


def test_a_change_can_be_undone_from_where_it_was_made(flag_tab, product):
    flag_tab.get_by_label("balance, percent;").fill("12.345")
    save(flag_tab)
    flag_tab.locator("#said-tracks").get_by_role("button", name="Undo").click()
    expect(flag_tab.locator("#said-tracks")).to_contain_text("Undone as revision")
    expect(flag_tab.get_by_label("balance, percent;")).to_have_value("")
    assert product.flag(FLAG)["percentages"] == {"default": 0, "domains": {}}


def test_history_shows_what_changed_and_goes_back_to_it(tabs, product):
    product.set_percentages(FLAG, collections=10)
    product.set_percentages(FLAG, collections=70)
    tab = tabs.open(product.page(f"flags/{FLAG}?tab=history"))
    writes = tab.get_by_role("main").locator("details")
    newest = writes.first
    expect(newest).to_contain_text("rollout.domains.collections")
    expect(newest.get_by_role("deletion")).to_have_text("10")
    expect(newest.get_by_role("insertion")).to_have_text("70")
    earlier = writes.nth(1)
    earlier.locator("summary").click()
    earlier.get_by_role("button", name="Go back to this").click()
    expect(tab.locator("#said-flag")).to_contain_text("Reverted as revision")
    expect(newest.get_by_role("insertion")).to_have_text("10")
    assert product.flag(FLAG)["percentages"]["domains"] == {"collections": 10}


def test_what_somebody_else_does_shows_by_itself(flag_tab, product):
    product.set_percentages(FLAG, 5, distributions=40)
    expect(flag_tab.get_by_label("distributions, percent;")).to_have_value("40")
    expect(flag_tab.get_by_label("default percentage")).to_have_value("5")
    product.api("POST", f"flags/{FLAG}/disable", {})
    expect(switch(flag_tab)).to_have_attribute("aria-checked", "false")


def test_an_edit_is_kept_while_somebody_else_changes_another_domain(flag_tab, product):
    flag_tab.get_by_label("collections, percent;").fill("30")
    product.set_percentages(FLAG, distributions=40)
    expect(flag_tab.get_by_label("distributions, percent;")).to_have_value("40")
    expect(flag_tab.get_by_label("collections, percent;")).to_have_value("30")
    save(flag_tab)
    expect(flag_tab.locator("#said-tracks")).to_contain_text("Saved as revision")
    assert product.flag(FLAG)["percentages"]["domains"] == {"collections": 30, "distributions": 40}


def test_a_lost_race_shows_the_other_change_and_can_put_mine_back(tabs, flag_tab, product):
    flag_tab.get_by_label("collections, percent;").fill("30")
    product.set_percentages(FLAG, collections=80)
    expect(flag_tab.locator("#said-tracks")).to_contain_text("has meanwhile set collections to 80 %")
    save(flag_tab)
    expect(flag_tab.locator("#said-tracks")).to_contain_text("changed this flag in the meantime")
    expect(flag_tab.get_by_label("collections, percent;")).to_have_value("80")
    assert product.flag(FLAG)["percentages"]["domains"] == {"collections": 80}
    flag_tab.get_by_role("button", name="Put mine back").click()
    save(flag_tab)
    expect(flag_tab.locator("#said-tracks")).to_contain_text("Saved as revision")
    assert product.flag(FLAG)["percentages"]["domains"] == {"collections": 30}
    tabs.expect_complaint("412")


def test_a_figure_that_is_none_is_refused_and_the_control_returns_to_the_truth(tabs, flag_tab, product):
    flag_tab.locator("form[data-tracks]").evaluate("form => form.noValidate = true")
    flag_tab.get_by_label("collections, percent;").fill("101")
    save(flag_tab)
    expect(flag_tab.locator("#said-tracks")).to_contain_text("Not saved: domains.collections: is not a percentage")
    expect(flag_tab.get_by_label("collections, percent;")).to_have_value("")
    tabs.expect_complaint("400")


def test_an_answer_that_never_comes_is_not_taken_for_either(tabs, flag_tab, product):
    flag_tab.route("**/percentages", lambda route: route.abort())
    flag_tab.get_by_label("collections, percent;").fill("30")
    save(flag_tab)
    expect(flag_tab.locator("#said-tracks")).to_contain_text("it is not known whether this was saved")
    expect(flag_tab.get_by_label("collections, percent;")).to_have_value("")
    tabs.expect_complaint("ERR_FAILED")


def test_everything_can_be_done_from_the_keyboard(tabs, product):
    tab = tabs.open(product.page("flags"))
    tab.keyboard.press("/")
    tab.keyboard.type("yaml")
    expect(tab.locator("article.flag:visible")).to_have_count(1)
    while not switch(tab).evaluate("element => element === document.activeElement"):
        tab.keyboard.press("Tab")
    tab.keyboard.press("Space")
    expect(switch(tab)).to_have_attribute("aria-checked", "false")
    expect(switch(tab)).to_be_focused()
    tab.keyboard.press("Control+k")
    tab.keyboard.type("use")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name=FLAG)).to_be_visible()
    mark = tab.get_by_label("collections, percent asked for")
    expect(mark).to_be_enabled()
    mark.focus()
    tab.keyboard.press("PageUp")
    tab.keyboard.press("ArrowRight")
    expect(tab.get_by_label("collections, percent;")).to_have_value("11")
    tab.get_by_label("collections, percent;").press("Enter")
    expect(tab.locator("#said-tracks")).to_contain_text("Saved as revision")
    assert product.flag(FLAG)["percentages"]["domains"] == {"collections": 11}


def test_without_scripts_flags_can_be_read_toggled_and_set(tabs, product):
    tab = tabs.open(product.page("flags"), java_script_enabled=False)
    switch(tab).click()
    expect(tab.get_by_role("main").get_by_role("status").first).to_contain_text(
        re.compile("Saved as revision .* workers? ha(s|ve) it")
    )
    tab.get_by_label("collections, percent;").fill("25")
    tab.get_by_role("button", name="Save").click()
    expect(tab.get_by_label("collections, percent;")).to_have_value("25")
    assert not product.flag(FLAG)["enabled"]
    assert product.flag(FLAG)["percentages"] == {"default": 0, "domains": {"collections": 25}}


def test_hostile_text_is_shown_as_text(tabs, product):
    hostile = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
    key = "hostile/flag.1"
    document = {
        "enabled": False,
        "variants": {"on": hostile, "off": "off"},
        "offVariant": "off",
        "description": hostile,
    }
    product.api("POST", "flags", {"key": key, "reason": hostile, **document})
    for path in ("flags", f"flags/{key}", f"flags/{key}?tab=history", f"flags/{key}?tab=settings"):
        tab = tabs.open(product.page(path))
        expect(tab.get_by_text("onerror").first).to_be_visible()
        switch(tab, key).click()
        expect(tab.get_by_role("status").get_by_text("as revision")).to_be_visible()
        assert tab.evaluate("window.hit") is None
    product.api("DELETE", f"flags/{key}", {})
