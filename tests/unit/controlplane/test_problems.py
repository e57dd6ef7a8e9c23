import importlib
import pkgutil

import pytest
from flask import Flask

import controlplane
import flags
import foundation
import messenger
import rollout
from controlplane.errors import StreamsFull
from controlplane.problems import STATUS, of_error, status_of
from foundation.errors import DocumentError, SignalboxError, StoreRefused

OF_COMMANDS_ONLY = {
    *("SETTINGS_INVALID", "START_FAILED", "RECEIPT_MALFORMED", "SIGNING_KEY_UNKNOWN", "RESTART_FAILED"),
    *("SOURCE_UNAVAILABLE", "SOURCE_REFUSED", "EVALUATION_FAILED"),
}
"""Never raised by a request's handling, or a fault of ours where it is."""


def every_error():
    for package in (foundation, flags, messenger, rollout, controlplane):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if module.name.endswith(".errors"):
                importlib.import_module(module.name)
    found, waiting = [], [SignalboxError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return found


def test_every_error_has_a_status_of_its_own():
    leaves = [kind for kind in every_error() if not kind.__subclasses__() or kind.code == "POISON_FRAME"]
    assert {kind.code for kind in leaves} - set(STATUS) - OF_COMMANDS_ONLY == set()


def test_every_code_is_used_once():
    codes = [kind.code for kind in every_error()]
    assert len(codes) == len(set(codes))


def test_no_status_is_kept_for_a_code_that_is_gone():
    assert set(STATUS) <= {kind.code for kind in every_error()}


@pytest.fixture
def in_request():
    app = Flask(__name__)
    with app.app_context():
        yield


def test_a_full_store_is_told_from_one_that_refuses():
    assert status_of(StoreRefused("OOM", "full")) == 507
    assert status_of(StoreRefused("READONLY", "replica")) == 503


def test_a_problem_names_the_field_and_what_would_be_right(in_request):
    error = DocumentError("a.b", "is wrong", value="x" * 100, expected="a number")
    found = of_error(error).get_json()
    assert (found["field"], found["problem"], found["expected"]) == ("a.b", "is wrong", "a number")
    assert len(found["value"]) <= 60
    assert found["type"] == "urn:signalbox:problem:document-invalid"


def test_who_should_wait_is_told_how_long(in_request):
    assert of_error(StreamsFull(5)).headers["Retry-After"] == "5"
