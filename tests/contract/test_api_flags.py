"""The flags API, over twins in memory and over Redis."""

import pytest

from flags import service
from flags.documents import RESERVED
from flags.edits import kill
from flags.instances import Instance
from flags.model import Hold, Revision
from foundation.errors import StoreRefused, StoreUnreachable
from tests.apiclient import Api, services_in_memory, services_over

YAML_FLAG = {"key": "useYamlMessaging", "enabled": True, "rolloutPercentage": 0, "fallback": "json"}
RULE = {"if": [{"attribute": "messageType", "operator": "in", "values": ["BONUS_ISSUED"]}], "serve": "off"}


@pytest.fixture(params=["memory", "redis"])
def api(request):
    if request.param == "memory":
        return Api(services_in_memory())
    return Api(services_over(request.getfixturevalue("redis_url")))


@pytest.fixture
def flag(api):
    created = api.post("flags", YAML_FLAG)
    assert created.status_code == 201, created.text
    return created.json["flag"]


def put_on_hold(api, key="useYamlMessaging"):
    hold = Hold("oncall@host", "latency", "rb_1")
    service.change(api.connection.store, (key,), lambda flag: kill(flag, hold), actor="oncall@host")


def test_a_created_flag_is_listed_with_its_percentages_and_who_made_it(api):
    created = api.post("flags", {**YAML_FLAG, "reason": "pilot"}, scope="operator")
    assert created.status_code == 201
    assert created.headers["Location"].endswith("/flags/useYamlMessaging")
    assert created.headers["ETag"] == f'"{created.json["flag"]["version"]}"'
    listed = api.get("flags", scope="viewer").json
    assert listed["environment"] == "demo"
    assert listed["revision"] == created.json["revision"]
    (found,) = listed["flags"]
    assert found["percentages"] == {"default": 0, "domains": {}}
    assert (found["changed"]["by"], found["changed"]["reason"]) == ("token:operator", "pilot")
    assert (found["hold"], found["archived"], found["rules"]) == (None, False, [])


def test_a_key_that_is_taken_is_a_conflict(api, flag):
    again = api.post("flags", YAML_FLAG)
    assert (again.status_code, again.json["code"]) == (409, "FLAG_EXISTS")
    assert again.json["detail"] == "flag 'useYamlMessaging' already exists in environment 'demo'"


def test_an_unknown_flag_is_not_found(api):
    for call in (api.get("flags/none"), api.post("flags/none/enable"), api.get("flags/none/history")):
        assert (call.status_code, call.json["code"]) == (404, "FLAG_NOT_FOUND")


def test_a_key_may_hold_slashes(api):
    assert api.post("flags", {**YAML_FLAG, "key": "ns/flag"}).status_code == 201
    assert api.get("flags/ns/flag").json["key"] == "ns/flag"
    assert api.post("flags/ns/flag/disable").json["flag"]["enabled"] is False


def test_no_key_ends_in_what_a_route_puts_behind_it(api):
    behind = {
        rule.rule.partition("/flags/<path:key>/")[2]
        for rule in api.app.url_map.iter_rules()
        if "/flags/<path:key>/" in rule.rule
    }
    assert behind == set(RESERVED)
    refused = api.post("flags", {**YAML_FLAG, "key": "ns/history"})
    assert (refused.status_code, refused.json["code"], refused.json["field"]) == (400, "DOCUMENT_INVALID", "flags")
    assert "ends in /history" in refused.json["detail"]


def test_a_patch_sets_one_domain_and_leaves_the_others(api, flag):
    api.call(
        "PUT", "flags/useYamlMessaging/percentages", json={"default": 5, "domains": {"balance": 7, "collections": 1}}
    )
    patched = api.call(
        "PATCH",
        "flags/useYamlMessaging",
        json={"domains": {"collections": 12.345, "balance": None}, "description": "new"},
    )
    assert patched.status_code == 200, patched.text
    assert patched.json["flag"]["percentages"] == {"default": 5, "domains": {"collections": 12.345}}
    assert patched.json["flag"]["description"] == "new"


def test_a_patch_replaces_rules_and_tags_and_switches(api, flag):
    patched = api.call("PATCH", "flags/useYamlMessaging", json={"rules": [RULE], "tags": ["a"], "enabled": False})
    assert patched.json["flag"]["rules"] == [RULE]
    assert (patched.json["flag"]["tags"], patched.json["flag"]["enabled"]) == (["a"], False)


def test_percentages_are_replaced_as_a_whole(api, flag):
    api.call("PUT", "flags/useYamlMessaging/percentages", json={"default": 5, "domains": {"balance": 7}})
    put = api.call("PUT", "flags/useYamlMessaging/percentages", json={"default": 0, "domains": {"collections": 50}})
    assert put.json["flag"]["percentages"] == {"default": 0, "domains": {"collections": 50}}


def test_a_stale_if_match_changes_nothing(api, flag):
    first = api.post("flags/useYamlMessaging/disable", headers={"If-Match": f'"{flag["version"]}"'})
    assert first.status_code == 200
    stale = api.post("flags/useYamlMessaging/enable", headers={"If-Match": f'"{flag["version"]}"'})
    assert (stale.status_code, stale.json["code"]) == (412, "REVISION_CONFLICT")
    assert first.json["flag"]["version"] in stale.json["detail"]
    assert api.get("flags/useYamlMessaging").json["enabled"] is False


@pytest.mark.parametrize(
    ("tag", "status"), [('"1-1"', 412), ('W/"1-1"', 412), ('"what"', 400), ("*", 200), ('"1-1", "2-2"', 400)]
)
def test_an_if_match_names_one_version_or_any(api, flag, tag, status):
    assert api.post("flags/useYamlMessaging/disable", headers={"If-Match": tag}).status_code == status


def test_an_if_match_that_is_no_version_is_told_what_it_held(api, flag):
    refused = api.post("flags/useYamlMessaging/disable", headers={"If-Match": "garbage"})
    assert (refused.status_code, refused.json["code"]) == (400, "REQUEST_INVALID")
    assert refused.json["detail"].endswith("found 'garbage'")


def test_a_version_that_a_proxy_has_weakened_is_still_the_version(api, flag):
    weak = {"If-Match": f'W/"{flag["version"]}"'}
    assert api.post("flags/useYamlMessaging/disable", headers=weak).status_code == 200


def test_the_etag_of_a_read_is_good_for_a_write(api, flag):
    tag = api.get("flags/useYamlMessaging").headers["ETag"]
    assert api.call("DELETE", "flags/useYamlMessaging", headers={"If-Match": tag}).status_code == 200


def test_the_same_operation_is_applied_once(api, flag):
    key = {"Idempotency-Key": "op-1"}
    first = api.post("flags/useYamlMessaging/disable", {"reason": "once"}, headers=key)
    again = api.post("flags/useYamlMessaging/disable", {"reason": "once"}, headers=key)
    assert first.json["revision"] == again.json["revision"]
    assert len(api.get("flags/useYamlMessaging/history").json["entries"]) == 2


def test_a_repeated_request_gets_its_first_answer_though_somebody_wrote_in_between(api, flag):
    key = {"Idempotency-Key": "op-1"}
    first = api.call("PATCH", "flags/useYamlMessaging", json={"percentage": 10}, headers=key)
    api.call("PATCH", "flags/useYamlMessaging", json={"description": "by somebody else"})
    again = api.call("PATCH", "flags/useYamlMessaging", json={"percentage": 10}, headers=key)
    assert (again.status_code, again.json["revision"]) == (200, first.json["revision"])
    assert again.json["flag"]["description"] == "by somebody else"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "flags/useYamlMessaging/revert"), ("DELETE", "flags/useYamlMessaging")],
)
def test_a_change_that_would_do_something_else_the_second_time_is_done_once(api, flag, method, path):
    api.post("flags/useYamlMessaging/disable", {})
    key = {"Idempotency-Key": "op-1"}
    first, again = (api.call(method, path, json={}, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json["revision"] == again.json["revision"]


def test_an_operation_can_not_be_used_for_something_else(api, flag):
    key = {"Idempotency-Key": "op-1"}
    api.post("flags/useYamlMessaging/disable", {"reason": "once"}, headers=key)
    other = api.call("PATCH", "flags/useYamlMessaging", json={"percentage": 10}, headers=key)
    assert (other.status_code, other.json["code"]) == (422, "IDEMPOTENCY_MISMATCH")
    assert api.get("flags/useYamlMessaging").json["percentages"]["default"] == 0


@pytest.mark.parametrize("key", ["", "x" * 201, "with space", "ünicode"])
def test_a_malformed_operation_is_refused(api, flag, key):
    refused = api.post("flags/useYamlMessaging/disable", headers={"Idempotency-Key": key.encode().decode("latin-1")})
    assert (refused.status_code, refused.json["code"]) == (400, "REQUEST_INVALID")


def test_a_held_flag_is_not_enabled_until_it_is_released(api, flag):
    put_on_hold(api)
    held = api.get("flags/useYamlMessaging").json
    assert (held["enabled"], held["hold"]["by"]) == (False, "oncall@host")
    for refused in (
        api.post("flags/useYamlMessaging/enable"),
        api.call("PATCH", "flags/useYamlMessaging", json={"enabled": True}),
        api.call("PUT", "flags/useYamlMessaging/percentages", json={"default": 100}),
        api.post("flags/useYamlMessaging/revert"),
    ):
        assert (refused.status_code, refused.json["code"]) == (409, "FLAG_HELD"), refused.text
    released = api.post("flags/useYamlMessaging/release", {"reason": "fixed"})
    assert (released.status_code, released.json["flag"]["hold"], released.json["flag"]["enabled"]) == (200, None, False)
    assert api.post("flags/useYamlMessaging/enable").status_code == 200


def test_a_release_lets_the_queues_admit_again(api, flag):
    put_on_hold(api)
    api.connection.queues.queue("collections").join("c1", frozenset({"application/json", "application/yaml"}), 60)
    api.connection.queues.bar_all(frozenset({"application/yaml"}))
    api.post("flags/useYamlMessaging/release")
    assert "application/yaml" in api.connection.queues.queue("collections").state().admits


def test_a_stale_if_match_releases_nothing(api, flag):
    put_on_hold(api)
    api.connection.queues.queue("collections").join("c1", frozenset({"application/json", "application/yaml"}), 60)
    api.connection.queues.bar_all(frozenset({"application/yaml"}))
    stale = api.post("flags/useYamlMessaging/release", headers={"If-Match": f'"{flag["version"]}"'})
    assert (stale.status_code, stale.json["code"]) == (412, "REVISION_CONFLICT")
    assert api.get("flags/useYamlMessaging").json["hold"]["by"] == "oncall@host"
    assert "application/yaml" not in api.connection.queues.queue("collections").state().admits


def test_a_repeated_release_leaves_the_hold_that_came_in_between(api, flag):
    put_on_hold(api)
    key = {"Idempotency-Key": "op-1"}
    first = api.post("flags/useYamlMessaging/release", {"reason": "fixed"}, headers=key)
    put_on_hold(api)
    api.connection.queues.bar_all(frozenset({"application/yaml"}))
    again = api.post("flags/useYamlMessaging/release", {"reason": "fixed"}, headers=key)
    assert (again.status_code, again.json["revision"]) == (200, first.json["revision"])
    assert again.json["flag"]["hold"]["by"] == "oncall@host"
    assert "application/yaml" not in api.connection.queues.queue("collections").state().admits
    other = api.post("flags/useYamlMessaging/release", {"reason": "else"}, headers=key)
    assert (other.status_code, other.json["code"]) == (422, "IDEMPOTENCY_MISMATCH")


def test_a_release_whose_queues_were_out_of_reach_is_finished_by_its_repetition(api, flag, monkeypatch):
    put_on_hold(api)
    queues, key = api.connection.queues, {"Idempotency-Key": "op-1"}
    queues.queue("collections").join("c1", frozenset({"application/json", "application/yaml"}), 60)
    queues.bar_all(frozenset({"application/yaml"}))

    def gone(*_):
        raise StoreUnreachable("no answer from the queue server")

    with monkeypatch.context() as patch:
        patch.setattr(queues, "release_all", gone)
        assert api.post("flags/useYamlMessaging/release", headers=key).status_code == 503
    assert api.post("flags/useYamlMessaging/release", headers=key).status_code == 200
    assert "application/yaml" in queues.queue("collections").state().admits


def test_an_archived_flag_is_put_away_and_a_revert_brings_it_back(api, flag):
    archived = api.call("DELETE", "flags/useYamlMessaging", json={"reason": "done with it"})
    assert archived.json["flag"]["archived"] is True
    assert api.get("flags").json["flags"] == []
    assert [each["key"] for each in api.get("flags?archived=true").json["flags"]] == ["useYamlMessaging"]
    refused = api.post("flags/useYamlMessaging/enable")
    assert (refused.status_code, refused.json["code"]) == (409, "FLAG_ARCHIVED")
    back = api.post("flags/useYamlMessaging/revert", {"revision": flag["version"]})
    assert (back.status_code, back.json["flag"]["archived"], back.json["flag"]["enabled"]) == (200, False, True)


def test_history_tells_who_did_what_and_why_newest_first(api, flag):
    api.call(
        "PATCH", "flags/useYamlMessaging", json={"domains": {"collections": 50}, "reason": "pilot"}, scope="operator"
    )
    api.post("flags/useYamlMessaging/disable", {"reason": "slow"})
    entries = api.get("flags/useYamlMessaging/history").json["entries"]
    assert [entry["summary"] for entry in entries] == ["disabled", "collections as default → 50%", "created"]
    assert [entry["actor"] for entry in entries] == ["token:admin", "token:operator", "token:admin"]
    assert [entry["reason"] for entry in entries] == ["slow", "pilot", ""]
    assert entries[-1]["before"] is None
    assert entries[0]["before"] == entries[1]["after"]
    assert len(api.get("flags/useYamlMessaging/history?limit=2").json["entries"]) == 2


def test_a_revert_goes_back_to_a_named_revision(api, flag):
    first = api.call("PATCH", "flags/useYamlMessaging", json={"percentage": 10}).json["revision"]
    api.call("PATCH", "flags/useYamlMessaging", json={"percentage": 20})
    reverted = api.post("flags/useYamlMessaging/revert", {"revision": first, "reason": "20 was too much"})
    assert reverted.json["flag"]["percentages"]["default"] == 10
    unknown = api.post("flags/useYamlMessaging/revert", {"revision": "1-1"})
    assert (unknown.status_code, unknown.json["field"]) == (400, "revision")


def test_a_write_tells_how_far_it_has_got(api, flag):
    revision = Revision.parse(flag["version"])
    registry = api.connection.registry
    registry.renew(Instance("c-1.a", "collections-1"), Revision(revision.epoch, revision.rev + 1), 60)
    registry.renew(Instance("b-1.a", "balance-1"), revision, 60)
    registry.renew(Instance("d-1.a", "deaf-1", overrides=("useYamlMessaging",)), Revision(revision.epoch, 99), 60)
    written = api.post("flags/useYamlMessaging/disable").json
    assert written["convergence"] == {
        "reached": False,
        "acknowledged": 1,
        "live": 3,
        "missing": ["balance-1", "deaf-1"],
    }


def test_the_snapshot_for_sdks_answers_304_until_something_changes(api, flag):
    first = api.get("snapshot", scope="sdk")
    assert first.json["flags"]["useYamlMessaging"]["rollout"] == {"percentage": 0}
    assert first.json["versions"] == {"useYamlMessaging": flag["version"]}
    same = api.get("snapshot", scope="sdk", headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    api.post("flags/useYamlMessaging/disable")
    changed = api.get("snapshot", scope="sdk", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.json["flags"]["useYamlMessaging"]["enabled"] is False


def test_a_snapshot_that_is_known_is_not_even_read(api, flag, monkeypatch):
    known = api.get("snapshot", scope="sdk").headers["ETag"]
    monkeypatch.setattr(type(api.connection.store), "snapshot", None)
    assert api.get("snapshot", scope="sdk", headers={"If-None-Match": f"W/{known}"}).status_code == 304


def test_a_client_can_not_set_a_hold_or_an_archive_mark(api, flag):
    full = {"key": "other", "enabled": True, "variants": {"on": 1, "off": 0}, "offVariant": "off"}
    for name, value in (("hold", {"by": "x", "reason": "y"}), ("archived", True)):
        for refused in (
            api.post("flags", {**full, name: value}),
            api.call("PATCH", "flags/useYamlMessaging", json={name: value}),
        ):
            assert (refused.status_code, refused.json["code"]) == (400, "DOCUMENT_INVALID")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreUnreachable("no answer"), 503),
        (StoreRefused("OOM", "full"), 507),
        (StoreRefused("READONLY", "a replica"), 503),
    ],
)
def test_a_store_that_fails_is_said_to_and_faults_are_not_ours(error, status):
    api = Api(services_in_memory())

    class Failing:
        environment = "demo"

        def snapshot(self):
            raise error

    api.connection.store = Failing()
    answer = api.get("flags")
    assert (answer.status_code, answer.json["code"]) == (status, error.code)
    assert answer.content_type == "application/problem+json"


def test_a_fault_of_ours_tells_strangers_nothing(caplog):
    api = Api(services_in_memory())
    api.connection.store = None
    answer = api.get("flags")
    assert (answer.status_code, answer.json["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert "NoneType" not in answer.text
    assert "fault in GET" in caplog.text
