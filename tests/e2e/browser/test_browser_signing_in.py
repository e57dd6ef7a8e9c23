from playwright.sync_api import expect

from tests.e2e.browser.conftest import sign_in

NOBODY = {"cookies": [], "origins": []}


def test_a_wrong_password_is_refused_in_words(tabs, product):
    tab = tabs.open(storage_state=NOBODY)
    sign_in(tab, product, password="not this one")
    expect(tab.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    expect(tab.get_by_label("Name")).to_have_value(product.ready["username"])
    tab.goto(product.page("flags"))
    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
    tabs.expect_complaint("401")


def test_signing_in_leads_to_where_one_wanted_to_go_and_out_again(tabs, product):
    tab = tabs.open(product.page("instances"), storage_state=NOBODY)
    tab.get_by_label("Name").fill(product.ready["username"])
    tab.get_by_label("Password").fill(product.ready["password"])
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="Instances")).to_be_visible()
    tab.get_by_role("button", name="Sign out").click()
    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
    tab.goto(product.page("flags"))
    expect(tab.get_by_role("heading", name="Sign in")).to_be_visible()
