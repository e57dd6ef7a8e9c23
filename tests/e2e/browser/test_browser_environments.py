import re

import pytest
from playwright.sync_api import expect

from foundation.ids import new_id


@pytest.fixture
def staging(tabs, product):
    """An environment that was made on the page a moment ago, shown beside the first."""
    tab = tabs.open(product.page("environments"))
    name = new_id("staging").replace("_", "-").lower()
    tab.get_by_label("Name").fill(name)
    tab.get_by_label("What for").fill("before production")
    tab.get_by_role("button", name="Create environment").click()
    expect(tab.get_by_role("heading", name=f"From {product.ready['environment']} to {name}")).to_be_visible()
    return tab, name


def switch(tab, name):
    masthead = tab.get_by_role("banner")
    masthead.locator("summary").click()
    masthead.get_by_role("link", name=name, exact=True).click()


def test_a_new_environment_is_switched_to_and_live_without_a_restart(product, staging):
    tab, name = staging
    switch(tab, name)
    expect(tab).to_have_url(re.compile(f"/environments/{name}/flags$"))
    expect(tab.get_by_role("main")).to_contain_text("No flags yet")
    expect(tab.locator("[data-state=contact]")).to_have_text("live")
    expect(tab.locator("[data-state=workers]")).to_have_text("no live worker")
    switch(tab, product.ready["environment"])
    expect(tab.get_by_role("switch", name="useYamlMessaging")).to_be_visible()


def test_environments_are_compared_and_switched_from_the_keyboard(product, staging):
    tab, name = staging
    first = product.ready["environment"]
    expect(tab.locator(".differences section").first).to_contain_text(f"only in {first}")
    tab.get_by_role("banner").locator("summary").focus()
    for key in ("Enter", "Tab"):
        tab.keyboard.press(key)
    expect(tab.get_by_role("banner").get_by_role("link", name=first, exact=True)).to_be_focused()
    tab.goto(product.page("environments").replace(f"/{first}/", f"/{name}/"))
    tab.get_by_role("link", name=f"Compare {name} with {first}").press("Enter")
    expect(tab.locator(".differences section").first).to_contain_text(f"only in {first}")


def test_environments_are_compared_and_switched_on_a_phone(tabs, product, staging):
    _, name = staging
    tab = tabs.open(viewport={"width": 360, "height": 740})
    tab.goto(product.page(f"environments?beside={name}"))
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    switch(tab, name)
    expect(tab).to_have_url(re.compile(f"/environments/{name}/flags$"))
