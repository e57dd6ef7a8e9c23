import re

from playwright.sync_api import expect

PAGES = (
    "flags",
    "flags/useYamlMessaging",
    "flags/useYamlMessaging?tab=history",
    "flags/useYamlMessaging?tab=settings",
    "flags/useYamlMessaging/explain",
    "instances",
    "queues",
    "queues/balance/dead-letters",
    "environments",
    "rollback",
)


def test_no_page_scrolls_sideways_on_a_phone_or_hides_the_lever(tabs, product):
    tab = tabs.open(viewport={"width": 360, "height": 740})
    for path in PAGES:
        tab.goto(product.page(path))
        expect(tab.locator("[data-state=contact]")).to_have_text("live")
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360, path
        expect(tab.get_by_role("link", name="Emergency rollback").first).to_be_in_viewport()


def test_the_masthead_says_where_one_is_and_how_the_workers_stand(tabs, product):
    tab = tabs.open(product.page("flags"))
    masthead = tab.get_by_role("banner")
    expect(masthead).to_contain_text(product.ready["environment"])
    expect(masthead).to_contain_text(re.compile(r"(\d+) of \1 workers in sync"))
    expect(masthead).to_contain_text(re.compile(r"revision \d+"))


def test_a_page_goes_on_without_the_stream_by_asking(tabs, product):
    tab = tabs.open()
    tab.route("**/events", lambda route: route.abort())
    tab.goto(product.page("flags/useYamlMessaging"))
    expect(tab.locator("[data-state=contact]")).to_have_text("live every 2 s")
    product.set_percentages("useYamlMessaging", balance=33)
    expect(tab.get_by_label("balance, percent;")).to_have_value("33")
    tabs.expect_complaint("ERR_FAILED")


def test_a_page_that_hears_nothing_says_so_and_recovers(tabs, product):
    tab = tabs.open()
    tab.route("**/events", lambda route: route.abort())
    tab.goto(product.page("instances"))
    expect(tab.locator("[data-state=contact]")).to_have_text("live every 2 s")
    tab.context.set_offline(True)
    expect(tab.locator("[data-state=contact]")).to_contain_text("the page shows what it last saw")
    tab.context.set_offline(False)
    expect(tab.locator("[data-state=contact]")).to_have_text("live every 2 s")
    tabs.expect_complaint("ERR_")


def test_the_theme_is_kept(tabs, product):
    tab = tabs.open(product.page("flags"), color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = tab.evaluate(ground)
    for _ in ("light", "dark"):
        with tab.expect_response("**/theme"):
            tab.get_by_role("button", name="Change the theme").click()
    assert tab.evaluate(ground) != light
    tab.reload()
    assert tab.evaluate(ground) != light


def test_no_page_needs_anything_from_elsewhere(tabs, product):
    tab = tabs.open()
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    for path in PAGES:
        tab.goto(product.page(path))
    ours = (product.url, product.ready["stream_url"])
    assert [url for url in asked if not url.startswith(ours)] == []
