"""The published OFREP client for browsers, unmodified, in a real one, on a page that is not ours."""

import functools
import http.server
import os
import re
import signal
import threading
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.browser.product import running_product
from tests.e2e.ofrep_site import JAVASCRIPT, RATE, VALUES, admitted, create_flags, using_up_the_rate
from tests.support import eventually

HOW_TO = Path(__file__).parents[3] / "docs/how-to/evaluate-in-the-browser.md"
SOMEBODY = {"targetingKey": "user-1"}
BULK = "/ofrep/v1/evaluate/flags"


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ofrep")
    with running_product(folder, "--no-demo", SIGNALBOX_OFREP_RATE=str(RATE)) as product:
        create_flags(product)
        yield product


class Site(http.server.SimpleHTTPRequestHandler):
    """Somebody else's site: pages with the published client in them."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(require):
    ready = (JAVASCRIPT / "node_modules" / "ready").exists()
    require("JavaScript clients", ready, "`make js` installs them with npm")
    handler = functools.partial(Site, directory=str(JAVASCRIPT))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def page(chromium, site):
    context = chromium.new_context()
    page = context.new_page()
    page.answers = []
    page.on("response", lambda answer: BULK in answer.url and page.answers.append(answer))
    opened(page, site)
    yield page
    context.close()


def opened(page, site):
    page.goto(f"{site}/page.html")
    page.wait_for_function("window.start")


def start(page, product, context=SOMEBODY, **options):
    """Start the client; answers with what went wrong, "" where nothing did."""
    headers = options.pop("headers", None) or [["Authorization", f"Bearer {admitted(product)}"]]
    chosen = {"baseUrl": product.url, "headers": headers, **options}
    return page.evaluate("([options, context]) => start(options, context)", [chosen, context])


def details(page, key, default):
    kind = {bool: "Boolean", str: "String", int: "Number", float: "Number"}.get(type(default), "Object")
    return page.evaluate(f"([key, value]) => client.get{kind}Details(key, value)", [key, default])


def value(page, key="string"):
    return details(page, key, "mine")["value"]


def heard(page, event):
    return page.evaluate("event => heard.filter(([name]) => name === event).map(([, details]) => details)", event)


def statuses(page):
    return [answer.status for answer in page.answers if answer.request.method == "POST"]


def wait_listening(page):
    """Wait for the question that follows the opening of the event stream: from then on nothing is missed."""
    eventually(lambda: page.wait_for_timeout(20) or statuses(page)[:2] == [200, 304])


def test_every_type_is_read_and_keys_may_have_slashes(page, product):
    assert start(page, product) == ""
    for key, expected in VALUES.items():
        found = details(page, key, type(expected)())
        assert (found["value"], found["variant"], found["reason"]) == (expected, "on", "STATIC")
        assert found["flagMetadata"] == {}


def test_each_error_is_told_and_the_default_served(page, product):
    assert start(page, product, context={}) == ""
    assert details(page, "missing", True)["errorCode"] == "FLAG_NOT_FOUND"
    split = details(page, "split", "mine")
    assert (split["errorCode"], split["value"]) == ("TARGETING_KEY_MISSING", "mine")
    assert "targetingKey" in split["errorMessage"]
    assert details(page, "string", True)["errorCode"] == "TYPE_MISMATCH"
    assert value(page) == "yaml"


def test_another_context_is_evaluated_anew(page, product):
    assert start(page, product) == ""
    served = {}
    for number in range(20):
        page.evaluate("context => setContext(context)", {"targetingKey": f"user-{number}"})
        served[number] = value(page, "split")
        if len(set(served.values())) == 2:
            break
    assert set(served.values()) == {"yes", "no"}


def test_a_change_arrives_by_the_event_stream(page, product):
    assert start(page, product) == ""
    wait_listening(page)
    for path, expected in [("disable", "json"), ("enable", "yaml")] * 2:
        told = len(heard(page, "ConfigurationChanged"))
        product.api("POST", f"flags/string/{path}", {})
        page.wait_for_function("value => client.getStringValue('string', '') === value", arg=expected)
        assert heard(page, "ConfigurationChanged")[told]["flagsChanged"] == ["string"]
    assert heard(page, "Stale") == heard(page, "Error") == []
    told_of = [answer.url for answer in page.answers if "flagConfigEtag=" in answer.url]
    assert len(told_of) >= 4


def test_a_change_that_came_while_the_stream_was_cut_is_not_missed(page, product):
    assert start(page, product) == ""
    wait_listening(page)
    os.kill(process_of(product, "controlplane.streams"), signal.SIGKILL)
    page.wait_for_function("heard.some(([name]) => name === 'Stale')")
    product.api("POST", "flags/string/disable", {})
    try:
        page.wait_for_function("client.getStringValue('string', '') === 'json'")
    finally:
        product.api("POST", "flags/string/enable", {})
    page.wait_for_function("client.getStringValue('string', '') === 'yaml'")


def process_of(product, application):
    """Find the process of our own `up` that serves an application."""
    pid = product.ready["pid"]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if application in Path(f"/proc/{child}/cmdline").read_text():
            return int(child)
    raise AssertionError(f"no child of {pid} serves {application}")


def test_polling_is_told_that_nothing_changed_until_something_did(page, product):
    assert start(page, product, changeDetection="polling", pollInterval=100) == ""
    eventually(lambda: page.wait_for_timeout(50) or len(statuses(page)) >= 4)
    assert statuses(page)[:4] == [200, 304, 304, 304]
    assert heard(page, "ConfigurationChanged") == []
    product.api("POST", "flags/string/disable", {})
    page.wait_for_function("client.getStringValue('string', '') === 'json'")
    product.api("POST", "flags/string/enable", {})
    page.wait_for_function("client.getStringValue('string', '') === 'yaml'")
    assert [told["flagsChanged"] for told in heard(page, "ConfigurationChanged")] == [["string"]] * 2


def test_a_page_that_comes_back_starts_from_its_cache_and_still_hears_of_changes(page, product, site):
    headers = [["X-API-Key", admitted(product)]]
    assert start(page, product, headers=headers) == ""
    opened(page, site)
    page.answers.clear()
    assert start(page, product, headers=headers) == ""
    assert details(page, "string", "mine")["reason"] == "CACHED"
    eventually(lambda: page.wait_for_timeout(20) or statuses(page)[:2] == [304, 304])
    product.api("POST", "flags/string/disable", {})
    page.wait_for_function("client.getStringValue('string', '') === 'json'")
    product.api("POST", "flags/string/enable", {})
    page.wait_for_function("client.getStringValue('string', '') === 'yaml'")


def test_without_a_good_token_it_does_not_start(page, product):
    said = start(page, product, headers=[["Authorization", "Bearer sb_sdk_x_y"]])
    assert "unauthorized" in said
    assert statuses(page) == [401]


def test_a_context_that_will_not_do_is_refused(page, product):
    assert "400" in start(page, product, context={"targetingKey": 7})
    assert statuses(page) == [400]


def test_an_environment_is_reached_by_its_address_and_one_that_is_not_there_is_none(page, product):
    address = f"{product.url}/api/v1/environments"
    assert start(page, product, baseUrl=f"{address}/{product.ready['environment']}") == ""
    assert value(page) == "yaml"
    assert "404" in start(page, product, baseUrl=f"{address}/none")


def test_who_asks_too_often_is_told_when_to_come_back(page, product, site):
    token = admitted(product)

    def refused():
        """Ask; between two others of the flood a request may find that the allowance has just grown again."""
        opened(page, site)
        page.answers.clear()
        said = start(page, product, headers=[["Authorization", f"Bearer {token}"]])
        return re.search(r"rate limit exceeded, try again after \w+", said)

    with using_up_the_rate(product, token):
        eventually(refused)
    assert statuses(page) == [429]


def test_the_how_to_shows_the_flag_and_each_change_of_it(page, product):
    (code,) = re.findall(r"```javascript\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    settings = {"url": product.url, "token": product.ready["sdk_token"]}
    page.evaluate("settings => { window.signalbox = settings }", settings)
    page.add_script_tag(content=code, type="module")
    expect(page.locator("body")).to_have_text("json")
    eventually(lambda: page.wait_for_timeout(20) or statuses(page)[:2] == [200, 304])
    product.set_percentages("useYamlMessaging", 100)
    expect(page.locator("body")).to_have_text("yaml")
    product.set_percentages("useYamlMessaging", 0)
    expect(page.locator("body")).to_have_text("json")
