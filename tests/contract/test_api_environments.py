"""Environments over the API: listed, created, served from then on, compared and copied between."""

from itertools import islice

import pytest

from controlplane.app import create_app
from controlplane.ratelimit import BURST
from controlplane.streams import create_streams, hub_of
from controlplane.wiring import LOOKUPS_A_SECOND
from flags import service
from flags.edits import kill
from flags.model import Hold
from foundation.ids import new_id
from tests.apiclient import Api, services_in_memory, services_over

ENVIRONMENTS = "/api/v1/environments"
FLAG = {"enabled": True, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off"}


@pytest.fixture(params=["memory", "redis"])
def api(request):
    if request.param == "memory":
        return Api(services_in_memory())
    return Api(services_over(request.getfixturevalue("redis_url")))


def create(api, name, **options):
    return api.post(ENVIRONMENTS, {"name": name}, **options)


@pytest.fixture
def staging(api):
    create(api, "staging")
    return api.services.wiring.environment("staging")


def add(api, environment, key, percentage=0, **more):
    document = {**FLAG, "key": key, "rollout": {"percentage": percentage}, **more}
    answer = api.post(f"{ENVIRONMENTS}/{environment}/flags", document)
    assert answer.status_code == 201, answer.text


def copy(api, body, **options):
    return api.post("copy", {"from": "staging", **body}, **options)


def default_of(api, key):
    return api.get(f"flags/{key}").json["percentages"]["default"]


def test_a_new_environment_is_listed_and_says_who_made_it(api):
    body = {"name": "staging", "description": "before production"}
    answer = api.post(ENVIRONMENTS, body)
    made = {**body, "created": api.services.clock.now(), "by": answer.json["by"]}
    assert (answer.status_code, answer.json) == (201, made)
    assert answer.headers["Location"] == f"{ENVIRONMENTS}/staging"
    blank = {"name": "demo", "description": "", "created": 0.0, "by": ""}
    assert api.get(ENVIRONMENTS, scope="viewer").json == {"environments": [blank, made]}


def test_a_new_environment_is_served_at_once_with_flags_of_its_own(api):
    assert api.get(f"{ENVIRONMENTS}/staging/flags").status_code == 404
    create(api, "staging")
    add(api, "staging", "a")
    assert [flag["key"] for flag in api.get(f"{ENVIRONMENTS}/staging/flags").json["flags"]] == ["a"]
    assert api.get("flags").json["flags"] == []


def test_another_process_serves_what_one_has_created(redis_url):
    one, other = Api(services_over(redis_url)), Api(services_over(redis_url))
    assert other.get(f"{ENVIRONMENTS}/staging").status_code == 404
    create(one, "staging")
    assert other.get(f"{ENVIRONMENTS}/staging").json["environment"] == "staging"


def test_the_streams_follow_an_environment_that_was_created_after_they_started(redis_url):
    streams = Api(services_over(redis_url), make=create_streams)
    assert streams.get(f"{ENVIRONMENTS}/staging/changes").status_code == 404
    api = Api(services_over(redis_url))
    create(api, "staging")
    add(api, "staging", "a")
    try:
        answer = streams.get(f"{ENVIRONMENTS}/staging/changes", buffered=False)
        assert answer.status_code == 200
        assert any(b'"a"' in event for event in islice(answer.response, 3))
        answer.close()
    finally:
        hub_of(streams.app).close()


def test_a_taken_name_is_refused_and_a_repeat_is_not(api):
    key = {"Idempotency-Key": new_id("op")}
    first, again = (create(api, "staging", headers=key) for _ in range(2))
    assert (again.status_code, again.json) == (201, first.json)
    refused = create(api, "staging")
    assert (refused.status_code, refused.json["code"]) == (409, "ENVIRONMENT_EXISTS")
    reused = create(api, "production", headers=key)
    assert (reused.status_code, reused.json["code"]) == (422, "IDEMPOTENCY_MISMATCH")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": 1}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "x" * 64}, "name"),
        ({"name": "x", "description": 1}, "description"),
        ({"name": "x", "description": "d" * 2_001}, "description"),
        ({"name": "x", "created": 1}, "created"),
    ],
)
def test_a_malformed_environment_is_refused_by_field(api, body, field):
    answer = api.post(ENVIRONMENTS, body)
    assert (answer.status_code, answer.json["field"]) == (400, field)
    assert len(api.get(ENVIRONMENTS).json["environments"]) == 1


def test_roles_may_read_create_and_copy_as_the_reference_says(api, staging):
    for scope, may in (("sdk", 403), ("viewer", 200), ("operator", 200)):
        assert api.get(ENVIRONMENTS, scope=scope).status_code == may
        assert api.get("diff?with=staging", scope=scope).status_code == may
    assert create(api, "x", scope="operator").status_code == 403
    assert copy(api, {}, scope="viewer").status_code == 403
    assert copy(api, {}, scope="operator").status_code == 200


def test_made_up_names_are_told_from_real_ones_for_as_long_as_it_costs_little(api, staging):
    statuses = {
        api.get(f"{ENVIRONMENTS}/made-up-{number}/flags").status_code
        for number in range(int(BURST * LOOKUPS_A_SECOND) + 10)
    }
    assert statuses == {404}
    assert api.get(f"{ENVIRONMENTS}/staging/flags").status_code == 200
    assert api.get(f"{ENVIRONMENTS}/{'x' * 5_000}/flags").status_code == 404


def test_a_difference_names_each_field_with_both_values(api, staging):
    add(api, "demo", "a", 0)
    add(api, "demo", "mine")
    add(api, "staging", "a", 50)
    add(api, "staging", "theirs")
    answer = api.get("diff?with=staging", scope="viewer")
    assert answer.json["equal"] is False
    assert answer.json["with"]["environment"] == "staging"
    assert answer.headers["ETag"] == f'"{answer.json["revision"]}"'
    found = {item["key"]: item for item in answer.json["differences"]}
    assert {key: item["change"] for key, item in found.items()} == {
        "a": "changed",
        "mine": "removed",
        "theirs": "added",
    }
    assert found["a"]["fields"] == [{"path": "rollout.percentage", "before": 0, "after": 50}]


def test_what_is_archived_counts_as_absent_unless_asked_for(api, staging):
    add(api, "demo", "a")
    api.call("DELETE", "flags/a", json={})
    assert api.get("diff?with=staging").json["equal"] is True
    assert api.get("diff?with=staging&archived=true").json["equal"] is False


@pytest.mark.parametrize(("query", "status"), [("", 400), ("?with=", 400), ("?with=a/b", 400), ("?with=nope", 404)])
def test_a_difference_needs_another_environment(api, query, status):
    assert api.get(f"diff{query}").status_code == status


def test_copying_answers_what_changed_and_the_flags_are_so(api, staging):
    add(api, "demo", "a", 0)
    add(api, "staging", "a", 50)
    add(api, "staging", "b", 60)
    answer = copy(api, {"flags": ["a"], "reason": "a good week"}, scope="operator")
    assert (answer.status_code, answer.json["changed"], answer.json["dry_run"]) == (200, True, False)
    fields = [{"path": "rollout.percentage", "before": 0, "after": 50}]
    assert answer.json["differences"] == [{"key": "a", "change": "changed", "fields": fields}]
    assert answer.json["convergence"]["live"] == 0
    assert api.get("flags").json["revision"] == answer.json["revision"]
    assert default_of(api, "a") == 50
    assert api.get("flags/a/history").json["entries"][0]["reason"] == "a good week"
    assert api.get("flags/b").status_code == 404
    assert copy(api, {"flags": ["a"]}).json["changed"] is False


def test_a_dry_run_changes_nothing_and_its_revision_makes_the_copy_conditional(api, staging):
    add(api, "demo", "a", 0)
    add(api, "staging", "a", 50)
    dry = copy(api, {"dry_run": True})
    assert dry.json["differences"][0]["key"] == "a"
    assert dry.json["convergence"] is None
    assert default_of(api, "a") == 0
    seen = {"If-Match": dry.headers["ETag"]}
    add(api, "demo", "b")
    refused = copy(api, {}, headers=seen)
    assert (refused.status_code, refused.json["code"]) == (412, "REVISION_CONFLICT")
    assert default_of(api, "a") == 0
    dry = copy(api, {"dry_run": True})
    assert copy(api, {}, headers={"If-Match": dry.headers["ETag"]}).status_code == 200
    assert default_of(api, "a") == 50


def test_a_copy_that_is_sent_again_is_answered_as_it_was_and_not_done_again(api, staging):
    add(api, "demo", "a", 0)
    add(api, "staging", "a", 50)
    key = {"Idempotency-Key": new_id("op")}
    first = copy(api, {}, headers=key)
    api.call("PUT", "flags/a/percentages", json={"default": 7})
    again = copy(api, {}, headers=key)
    assert again.json == first.json
    assert default_of(api, "a") == 7
    assert copy(api, {"flags": ["a"]}, headers=key).status_code == 422


def test_a_flag_on_hold_refuses_the_copy_and_its_dry_run(api, staging):
    add(api, "demo", "a", 0)
    add(api, "staging", "a", 50)
    hold = Hold("kim", "latency", "rcpt_1")
    service.change(api.connection.store, ["a"], lambda flag: kill(flag, hold), actor="kim")
    for dry_run in (True, False):
        answer = copy(api, {"dry_run": dry_run})
        assert (answer.status_code, answer.json["code"]) == (409, "FLAG_HELD")
    assert api.get("flags/a").json["hold"] is not None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"from": "demo"}, 400),
        ({"from": "nope"}, 404),
        ({"from": None}, 400),
        ({"flags": []}, 400),
        ({"flags": "a"}, 400),
        ({"flags": ["nope"]}, 404),
        ({"flags": ["segment:nope"]}, 404),
        ({"dry_run": "yes"}, 400),
        ({"prune": True}, 400),
    ],
)
def test_a_malformed_copy_is_refused(api, staging, body, status):
    assert copy(api, body).status_code == status


def test_the_application_starts_while_no_store_answers():
    app = create_app(services_over("redis://127.0.0.1:1/0"))
    assert app.test_client().get("/healthz").status_code == 200
