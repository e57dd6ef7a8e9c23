"""The published OFREP clients for Python and Node, unmodified, on the real product, and the how-tos that show them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import (
    FlagNotFoundError,
    GeneralError,
    InvalidContextError,
    OpenFeatureError,
    TargetingKeyMissingError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import Reason

from tests.e2e.browser.product import running_product
from tests.e2e.ofrep_site import JAVASCRIPT, RATE, VALUES, admitted, create_flags, using_up_the_rate

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
SOMEBODY = EvaluationContext("user-1")
ASKED_AS = {
    "boolean": "boolean",
    "string": "string",
    "integer": "integer",
    "float": "float",
    "object": "object",
    "list": "object",
    "ns/flag": "string",
}


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ofrep")
    with running_product(folder, "--no-demo", SIGNALBOX_OFREP_RATE=str(RATE)) as product:
        create_flags(product)
        yield product


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# Python


@pytest.fixture
def make_provider(product):
    providers = []

    def make(headers=None, base=""):
        chosen = bearer(admitted(product)) if headers is None else headers
        providers.append(OFREPProvider(f"{product.url}{base}", headers_factory=lambda: chosen))
        return providers[-1]

    yield make
    for provider in providers:
        provider.session.close()


@pytest.mark.parametrize(("key", "kind"), ASKED_AS.items())
def test_python_reads_every_type(make_provider, key, kind):
    detail = getattr(make_provider(), f"resolve_{kind}_details")(key, None, SOMEBODY)
    assert (detail.value, detail.variant, detail.reason) == (VALUES[key], "on", Reason.STATIC)
    assert type(detail.value) is type(VALUES[key]) or kind == "float"
    assert detail.flag_metadata == {}


def test_python_is_told_of_a_split_and_of_what_is_disabled(make_provider, product):
    provider = make_provider()
    assert provider.resolve_string_details("split", "", SOMEBODY).reason is Reason.SPLIT
    product.api("POST", "flags/list/disable", {})
    detail = provider.resolve_object_details("list", {}, SOMEBODY)
    product.api("POST", "flags/list/enable", {})
    assert (detail.value, detail.variant, detail.reason) == ([], "off", Reason.DISABLED)


@pytest.mark.parametrize("key", ["missing", "ns/missing"])
def test_python_is_told_that_there_is_no_such_flag(make_provider, key):
    with pytest.raises(FlagNotFoundError, match="no such flag"):
        make_provider().resolve_boolean_details(key, False, SOMEBODY)


def test_python_is_told_what_is_wrong_with_a_context(make_provider):
    provider = make_provider()
    with pytest.raises(TargetingKeyMissingError, match="targetingKey"):
        provider.resolve_string_details("split", "")
    with pytest.raises(InvalidContextError, match="targetingKey is not text"):
        provider.resolve_string_details("split", "", EvaluationContext(attributes={"targetingKey": 7}))
    with pytest.raises(TypeMismatchError):
        provider.resolve_boolean_details("string", False, SOMEBODY)


def test_python_may_send_its_token_in_either_header_and_needs_one(make_provider, product):
    key = {"X-API-Key": admitted(product)}
    assert make_provider(key).resolve_string_details("string", "", SOMEBODY).value == "yaml"
    for wrong in ({}, bearer("sb_sdk_x_y"), {"X-API-Key": "nonsense"}):
        with pytest.raises(OpenFeatureError, match="unauthorized"):
            make_provider(wrong).resolve_string_details("string", "", SOMEBODY)
    with pytest.raises(OpenFeatureError, match="forbidden"):
        make_provider({"Origin": "https://elsewhere.example"}).resolve_string_details("string", "", SOMEBODY)


def test_python_is_told_to_wait_and_waits(make_provider, product):
    token = admitted(product)
    provider = make_provider(bearer(token))
    with using_up_the_rate(product, token), pytest.raises(GeneralError, match="retry after: 1"):
        provider.resolve_string_details("string", "", SOMEBODY)
    with pytest.raises(GeneralError, match="paused"):
        provider.resolve_string_details("string", "", SOMEBODY)


def test_python_reaches_an_environment_by_its_address(make_provider, product):
    address = f"/api/v1/environments/{product.ready['environment']}"
    assert make_provider(base=address).resolve_string_details("ns/flag", "", SOMEBODY).value == "nested"
    with pytest.raises(FlagNotFoundError, match="no environment"):
        make_provider(base="/api/v1/environments/none").resolve_string_details("string", "", SOMEBODY)


def test_python_sees_a_change_with_its_next_question(make_provider, product):
    provider = make_provider()
    for path, expected in [("disable", "json"), ("enable", "yaml")] * 3:
        product.api("POST", f"flags/string/{path}", {})
        assert provider.resolve_string_details("string", "", SOMEBODY).value == expected


# Node


@pytest.fixture(scope="session")
def node(require):
    executable = shutil.which("node")
    require("node", executable, "the JavaScript clients run in it (Node 18 or newer)")
    ready = (JAVASCRIPT / "node_modules" / "ready").exists()
    require("JavaScript clients", ready, "`make js` installs them with npm")
    return executable


@pytest.fixture
def ask_node(node, product):
    """A function that has the Node client answer questions `(type, key, default, context)`, in order."""

    def ask(*questions, headers=None, base=""):
        asked = {
            "baseUrl": f"{product.url}{base}",
            "headers": bearer(admitted(product)) if headers is None else headers,
            "questions": questions,
        }
        done = run_node(node, JAVASCRIPT / "ask.mjs", input=json.dumps(asked))
        return json.loads(done.stdout)

    return ask


def run_node(node, script, **options):
    done = subprocess.run([node, script], capture_output=True, text=True, timeout=60, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done


CONTEXT = {"targetingKey": "user-1", "domain": "collections"}


def test_node_reads_every_type(ask_node):
    defaults = {"boolean": False, "string": "", "integer": 0, "float": 0.0, "object": {}, "list": []}
    asked = {"integer": "number", "float": "number"}
    questions = [(asked.get(kind, kind), key, defaults.get(key, ""), CONTEXT) for key, kind in ASKED_AS.items() if kind]
    details = {detail["flagKey"]: detail for detail in ask_node(*questions)}
    assert {key: detail["value"] for key, detail in details.items()} == VALUES
    assert {(detail["variant"], detail["reason"]) for detail in details.values()} == {("on", "STATIC")}
    assert all(detail["flagMetadata"] == {} for detail in details.values())


def test_node_is_told_each_error_and_serves_the_default(ask_node):
    details = ask_node(
        ("boolean", "missing", True, CONTEXT),
        ("string", "ns/missing", "mine", CONTEXT),
        ("string", "split", "mine", {}),
        ("string", "split", "mine", {"targetingKey": 7}),
        ("boolean", "string", True, CONTEXT),
        ("string", "split", "mine", CONTEXT),
    )
    assert [detail.get("errorCode") for detail in details] == [
        "FLAG_NOT_FOUND",
        "FLAG_NOT_FOUND",
        "TARGETING_KEY_MISSING",
        "INVALID_CONTEXT",
        "TYPE_MISMATCH",
        None,
    ]
    assert [detail["value"] for detail in details[:5]] == [True, "mine", "mine", "mine", True]
    assert details[0]["errorMessage"] == "no such flag"
    assert details[5]["reason"] == "SPLIT"


def test_node_needs_a_token_in_either_header(ask_node, product):
    question = ("string", "string", "mine", CONTEXT)
    (detail,) = ask_node(question, headers={"X-API-Key": admitted(product)})
    assert detail["value"] == "yaml"
    (detail,) = ask_node(question, headers=bearer("sb_sdk_x_y"))
    assert (detail["value"], detail["errorCode"]) == ("mine", "GENERAL")


def test_node_is_told_to_wait_and_waits(ask_node, product):
    token = admitted(product)
    with using_up_the_rate(product, token):
        first, second = ask_node(*[("string", "string", "mine", CONTEXT)] * 2, headers=bearer(token))
    assert first["errorMessage"].startswith("rate limit exceeded, try again after")
    assert second["errorMessage"].startswith("OFREP evaluation paused due to TooManyRequests")
    assert [first["value"], second["value"]] == ["mine", "mine"]


def test_node_reaches_an_environment_by_its_address(ask_node, product):
    address = f"/api/v1/environments/{product.ready['environment']}"
    (detail,) = ask_node(("string", "ns/flag", "", CONTEXT), base=address)
    assert detail["value"] == "nested"


# How-tos


def shown(page, language):
    (block,) = re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs/how-to" / page).read_text(), re.DOTALL)
    return block


def surroundings(product):
    return {**os.environ, "SIGNALBOX_URL": product.url, "SIGNALBOX_TOKEN": product.ready["sdk_token"]}


def test_the_how_to_for_python_prints_what_the_flag_serves(product):
    code = shown("evaluate-from-python.md", "python")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=surroundings(product),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "json\n", "")


def test_the_how_to_for_node_prints_what_the_flag_serves(node, product, tmp_path):
    script = tmp_path / "shown.mjs"
    script.write_text(shown("evaluate-from-node.md", "javascript"))
    (tmp_path / "node_modules").symlink_to(JAVASCRIPT / "node_modules")
    assert run_node(node, script, env=surroundings(product), cwd=tmp_path).stdout == "json\n"
