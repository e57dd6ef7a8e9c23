"""What a flag's page says of prerequisites, targets, splits, segments and lifetimes, and its playground."""

import re
from html import unescape

import pytest

from controlplane.ui.playground import example
from flags import service
from flags.definitions import parse_definitions
from foundation.documents import read_json
from tests.apiclient import PASSWORD, Api, services_in_memory

DOCUMENT = {
    "flags": {
        "base": {"enabled": True, "variants": {"on": True, "off": False}, "offVariant": "off"},
        "route": {
            "enabled": True,
            "variants": {"direct": 1, "pooled": 2, "manual": 3},
            "offVariant": "manual",
            "onVariant": "direct",
            "prerequisites": [{"flag": "base", "variants": ["on"]}],
            "targets": {"pooled": ["p-7"]},
            "rules": [
                {
                    "if": [
                        {"segment": "insiders", "negate": True},
                        {"attribute": "amount", "operator": "gt", "values": [10], "negate": True},
                    ],
                    "serve": "pooled",
                },
            ],
            "rollout": {
                "split": [{"variant": "direct", "percentage": 20}, {"variant": "manual", "percentage": 80}],
                "domains": {"balance": 5},
            },
            "stickiness": "playerId",
            "owner": "settlements",
            "tags": ["money"],
            "lifetime": "temporary",
            "expires": "2026-06-30",
            "metadata": {"ticket": "S-1"},
        },
    },
    "segments": {"insiders": {"if": [{"attribute": "email", "operator": "ends_with", "values": ["@example.com"]}]}},
}


@pytest.fixture
def api():
    api = Api(services_in_memory())
    service.apply(api.connection.store, parse_definitions(DOCUMENT), actor="up")
    return api


@pytest.fixture
def viewer(api):
    client = api.app.test_client()
    client.post("/sign-in", data={"username": "viewer", "password": PASSWORD})
    return client


def words(response):
    """The text of a page, as somebody reads it."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.get_data(as_text=True))).split())


def explain(client, context, key="route"):
    path = f"/environments/demo/flags/{key}/explain"
    token = re.search(r'name="csrf_token" value="([^"]*)"', client.get(path).get_data(as_text=True)).group(1)
    return client.post(path, data={"csrf_token": token, "context": context})


def test_the_page_of_a_flag_says_all_that_decides_before_and_beside_its_percentages(viewer):
    said = words(viewer.get("/environments/demo/flags/route"))
    for part in (
        "owner settlements money temporary, until 2026-06-30 past its day",
        "split: direct 20 % · manual 80 %",
        "base serves on",
        "p-7 serve pooled",
        "If not in the segment insiders ( email ends with @example.com ) and amount is not over 10",
        "Bucketed by playerId",
    ):
        assert part in said
    assert 'name="default"' not in viewer.get("/environments/demo/flags/route").get_data(as_text=True)
    assert "S-1" in words(viewer.get("/environments/demo/flags/route?tab=settings"))


def test_the_list_says_whose_a_flag_is_and_is_narrowed_down_by_it(viewer):
    def listed(query):
        said = words(viewer.get(f"/environments/demo/flags{query}"))
        return [key for key in ("base", "route") if f" {key} " in said]

    assert listed("") == ["base", "route"]
    for query in ("?tag=money", "?owner=settlements", "?stale=true", "?q=settle", "?tag=money&q=rou"):
        assert listed(query) == ["route"], query
    assert listed("?tag=other") == listed("?tag=money&q=base") == []
    assert "past its day" in words(viewer.get("/environments/demo/flags"))


def test_the_split_of_a_flag_is_kept_when_a_form_sets_its_domains(api):
    client = api.app.test_client()
    client.post("/sign-in", data={"username": "operator", "password": PASSWORD})
    page = client.get("/environments/demo/flags/route").get_data(as_text=True)
    hidden = dict(re.findall(r'<input type="hidden" name="(csrf_token|version)" value="([^"]*)">', page))
    form = {**hidden, "action": "percentages", "domain.balance": "7"}
    assert client.post("/environments/demo/flags/route", data=form).status_code == 303
    rollout = service.find(api.connection.store, "route").flag.rollout
    assert (rollout.domains, [variant for variant, _ in rollout.split]) == ({"balance": 7_000}, ["direct", "manual"])
    version = str(service.find(api.connection.store, "route").version)
    refused = client.post("/environments/demo/flags/route", data={**form, "version": version, "default": "5"})
    assert (refused.status_code, "Not saved: flag 'route' splits its traffic" in words(refused)) == (409, True)


def test_the_playground_begins_with_all_that_the_flag_asks_about(api, viewer):
    flag, segments = api.get("flags/route").json, {"insiders": DOCUMENT["segments"]["insiders"]}
    assert example(flag, segments) == {
        "targetingKey": "p-7",
        "playerId": "playerId-1",
        "domain": "balance",
        "email": "@example.com",
        "amount": 10,
    }
    page = viewer.get("/environments/demo/flags/route/explain").get_data(as_text=True)
    shown = re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL).group(1)
    assert read_json(unescape(shown)) == example(flag, segments)


def test_a_viewer_is_shown_the_steps_and_the_one_that_decides(viewer):
    response = explain(viewer, '{"targetingKey": "p-1", "playerId": "x", "amount": 11}')
    said = words(response)
    assert response.status_code == 200
    assert "1. enabled the flag is enabled" in said
    assert "2. prerequisite base has to serve on, and serves on" in said
    assert re.search(r"rollout bucket [\d,]+ of 100,000 is below [\d,]+, where '\w+' ends decides", said)
    assert 'class="bucket"' in response.get_data(as_text=True)
    assert "pooled , TARGETING_MATCH" in words(explain(viewer, '{"targetingKey": "p-7"}'))
    assert "TARGETING_KEY_MISSING: the flag splits traffic, and the context has no playerId" in words(
        explain(viewer, "")
    )


@pytest.mark.parametrize(
    ("context", "said"),
    [("{", "Not evaluated: document: is not JSON"), ("[1]", "Not evaluated: context: is not an object")],
)
def test_a_context_that_is_none_is_refused_in_words_and_kept_for_repair(viewer, context, said):
    response = explain(viewer, context)
    assert (response.status_code, said in words(response)) == (400, True)
    assert f">{context}</textarea>" in response.get_data(as_text=True)


def test_whatever_is_in_a_context_is_shown_as_text(viewer):
    page = explain(viewer, '{"targetingKey": "<img src=x>", "playerId": "</textarea><script>"}').get_data(as_text=True)
    assert "<img" not in page
    assert "</textarea><script>" not in page


def test_an_unknown_flag_has_no_playground(viewer):
    assert viewer.get("/environments/demo/flags/none/explain").status_code == 404
    assert viewer.post("/environments/demo/flags/route/explain", data={"context": "{}"}).status_code == 403
