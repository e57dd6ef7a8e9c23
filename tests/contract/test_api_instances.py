"""Instances over the API: renewed, acknowledged and taken out as over Redis, and nothing taken that is not in order."""

import math

import pytest

from flags.instances import LEASE_MARGIN, Instance
from flags.model import ZERO, Revision
from tests.apiclient import Api, services_in_memory, services_over

RECORD = {
    "slot": "web-1",
    "kind": "sdk",
    "domain": "collections",
    "host": "host",
    "pid": 42,
    "started": 1.5,
    "supervisor": "",
    "capabilities": ["application/json"],
    "overrides": ["a", "b/c"],
}
FLAG = {"key": "a", "enabled": True, "rolloutPercentage": 0, "fallback": False}


@pytest.fixture(params=["memory", "redis"])
def api(request):
    if request.param == "memory":
        return Api(services_in_memory())
    return Api(services_over(request.getfixturevalue("redis_url")))


def renew(api, revision=ZERO, *, instance="web-1.x1", lease=10.0, scope="sdk", **parts):
    content = {**RECORD, "acknowledged": str(revision), "lease": lease, **parts}
    return api.call("PUT", f"instances/{instance}", scope=scope, json=content)


def revision_of(api):
    return Revision.parse(api.post("flags", FLAG).json["revision"])


def test_an_instance_is_registered_with_all_that_it_says_of_itself(api):
    revision = revision_of(api)
    assert renew(api, revision).status_code == 204
    (live,) = api.connection.registry.live()
    expected = {**RECORD, "capabilities": ("application/json",), "overrides": ("a", "b/c")}
    assert live.instance == Instance(id="web-1.x1", **expected)
    assert live.acknowledged == revision
    assert 10 < live.lease_left <= 10 + LEASE_MARGIN


def test_it_counts_in_convergence_as_one_over_redis_does(api):
    revision = revision_of(api)
    renew(api, ZERO)
    assert api.post("flags/a/enable").json["convergence"]["missing"] == ["web-1"]
    revision = Revision.parse(api.get("flags").json["revision"])
    renew(api, revision, overrides=[])
    (live,) = api.connection.registry.wait_acknowledged(revision, 1)
    assert live.acknowledged == revision


def test_an_instance_leaves_at_once_and_one_that_is_not_there_may_leave_too(api):
    renew(api)
    for _ in range(2):
        assert api.call("DELETE", "instances/web-1.x1", scope="sdk").status_code == 204
        assert api.connection.registry.live() == []


@pytest.mark.parametrize("scope", [None, "viewer"])
def test_who_may_not_speak_for_instances_is_refused(api, scope):
    assert renew(api, scope=scope).status_code in {401, 403}
    assert api.call("DELETE", "instances/web-1.x1", scope=scope).status_code in {401, 403}


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"lease": 0}, "lease"),
        ({"lease": 301}, "lease"),
        ({"lease": "10"}, "lease"),
        ({"lease": True}, "lease"),
        ({"acknowledged": "1"}, "revision"),
        ({"acknowledged": "9" * 100 + "-1"}, "acknowledged"),
        ({"acknowledged": None}, "acknowledged"),
        ({"slot": ""}, "slot"),
        ({"slot": "x" * 201}, "slot"),
        ({"slot": "web\x1b[2J"}, "slot"),
        ({"host": ["a"]}, "host"),
        ({"pid": "1"}, "pid"),
        ({"started": math.inf}, ""),
        ({"capabilities": "gzip"}, "capabilities"),
        ({"capabilities": ["x"] * 101}, "capabilities"),
        ({"overrides": ["no key"]}, "overrides[0]"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_is_not_in_order_is_refused_by_field_and_registers_nobody(api, parts, field):
    answer = renew(api, **parts)
    assert (answer.status_code, answer.json.get("field", "")) == (400, field), answer.json
    assert api.connection.registry.live() == []


def test_an_id_that_no_terminal_should_print_is_refused(api):
    assert renew(api, instance="a%1b%5b2J").status_code == 400
    assert renew(api, instance="x" * 201).status_code == 400
