"""A real browser on the real product: one `signalbox up` and one Chromium for the tests of a process, and fresh tabs.

A tab that logs an error fails its test, whatever else it showed; tests of refusals say which they expect.
"""

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.e2e.browser.product import running_product

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SLOW = 15_000
"""Milliseconds after which something that should show has not; two cores are shared with everything else."""


def pytest_collection_modifyitems(items):
    for item in items:
        if "/e2e/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def product(tmp_path_factory):
    with running_product(tmp_path_factory.mktemp("product")) as product:
        yield product


@pytest.fixture(scope="session")
def chromium(require):
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    require("chromium", executable, "the browser tests drive the Chromium of the system")
    expect.set_options(timeout=SLOW)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def signed_in(chromium, product):
    """The cookies of somebody who signed in once."""
    context = chromium.new_context()
    sign_in(context.new_page(), product)
    state = context.storage_state()
    context.close()
    return state


def sign_in(page, product, password=None):
    page.goto(f"{product.url}/sign-in")
    page.get_by_label("Name").fill(product.ready["username"])
    page.get_by_label("Password").fill(password or product.ready["password"])
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


class Tabs:
    """Opens tabs, each in a browser of its own, and listens to what they complain about."""

    def __init__(self, chromium, state):
        self._chromium, self._state = chromium, state
        self._contexts = []
        self.complaints = []

    def open(self, address="about:blank", **options):
        options = {"storage_state": self._state, "viewport": {"width": 1280, "height": 800}} | options
        context = self._chromium.new_context(**options)
        context.set_default_timeout(SLOW)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("pageerror", lambda error: self._heard("error", str(error)))
        page.goto(address)
        return page

    def expect_complaint(self, words):
        """Take one expected complaint off the list: the browser logs every refused request by itself."""
        found = [complaint for complaint in self.complaints if words in complaint]
        assert found, f"nothing about {words!r} in {self.complaints}"
        self.complaints = [complaint for complaint in self.complaints if complaint not in found]

    def close(self):
        for context in self._contexts:
            context.close()

    def _heard(self, kind, text):
        if kind in {"error", "warning"}:
            self.complaints.append(text)


@pytest.fixture
def tabs(chromium, product, signed_in):
    """Tabs of somebody who is signed in, on flags as `up` made them."""
    product.reset()
    tabs = Tabs(chromium, signed_in)
    yield tabs
    tabs.close()
    assert tabs.complaints == []
