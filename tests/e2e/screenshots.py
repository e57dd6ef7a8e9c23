"""Takes the README's pictures from the running product: `.venv/bin/python tests/e2e/screenshots.py`.

Starts a product of its own, sets useYamlMessaging to half of collections and a quarter of distributions, waits until
the traffic shows it, and ends with a rollback. Pictures go to docs/images, each small enough for a slow line.
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.e2e.browser.conftest import ARGUMENTS, sign_in
from tests.e2e.browser.product import running_product

IMAGES = ROOT / "docs" / "images"
LARGEST = 150_000
FLAG = "useYamlMessaging"
YAML_SEEN = re.compile(r"YAML [1-9]")


def main():
    """Run the product, walk through it and keep what is seen."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="sb-") as folder,
        running_product(Path(folder)) as product,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1200, "height": 740}, color_scheme="light")
        page.set_default_timeout(60_000)
        sign_in(page, product)
        pilot(page, product)
        instances(page, product)
        flags(page, product)
        rollback(page, product)
        browser.close()


def pilot(page, product):
    page.goto(product.page(f"flags/{FLAG}"))
    ask(page, "pilot", collections=50)


def ask(page, reason, **percentages):
    for domain, percentage in percentages.items():
        page.get_by_label(f"{domain}, percent;").fill(str(percentage))
    page.get_by_label("Why").fill(reason)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#said-tracks")).to_contain_text("have it")


def instances(page, product):
    page.goto(product.page("instances"))
    expect(page.locator('tr.domain[data-domain="collections"] .figures')).to_have_text(YAML_SEEN, timeout=60_000)
    page.wait_for_timeout(10_000)  # the window of the traffic that is shown
    keep(page, "instances")


def flags(page, product):
    page.goto(product.page("flags"))
    expect(page.locator("[data-state=contact]")).to_have_text("live")
    keep(page, "flags")
    page.goto(product.page(f"flags/{FLAG}"))
    expect(page.locator("[data-state=contact]")).to_have_text("live")
    ask(page, "nothing amiss in collections", distributions=30)
    page.wait_for_timeout(10_000)  # the window again
    page.mouse.move(0, 0)
    keep(page, "flag")
    page.emulate_media(color_scheme="dark")
    keep(page, "flag-dark")
    page.emulate_media(color_scheme="light")


def rollback(page, product):
    page.goto(product.page("rollback"))
    page.get_by_label("Reason").fill("balances look wrong since the pilot")
    page.get_by_label(re.compile("^Type")).fill(product.ready["environment"])
    page.get_by_role("button", name="Pull the lever").click()
    expect(page.locator("[data-verdict]")).to_be_visible(timeout=90_000)
    keep(page, "rollback")


def keep(page, name):
    picture = IMAGES / f"{name}.png"
    page.wait_for_timeout(400)  # colours fade from one theme to the other
    page.screenshot(path=picture)
    size = picture.stat().st_size
    print(f"{picture.relative_to(ROOT)}  {size // 1000} kB")  # noqa: T201 - what a script is for
    if size > LARGEST:
        sys.exit(f"{picture} is larger than {LARGEST} bytes")


if __name__ == "__main__":
    main()
