"""The page of the environments, without any script."""

import re

import pytest

from flags import service
from flags.documents import parse_flag
from tests.apiclient import PASSWORD, Api, services_in_memory

HOSTILE = "<img src=x onerror=alert(1)>\"'"
PAGE = "/environments/demo/environments"


def put(api, environment, key, percentage=0, **more):
    document = {"enabled": True, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off", **more}
    flag = parse_flag(key, {**document, "rollout": {"percentage": percentage}})
    service.apply(api.services.wiring.environment(environment).store, {key: flag}, actor="kim")


@pytest.fixture
def api():
    api = Api(services_in_memory())
    api.post("/api/v1/environments", {"name": "staging", "description": HOSTILE})
    return api


def visitor(api, role):
    client = api.app.test_client()
    client.post("/sign-in", data={"username": role, "password": PASSWORD})
    return client


@pytest.fixture
def admin(api):
    return visitor(api, "admin")


def create(client, **fields):
    (token,) = set(re.findall(r'name="csrf_token" value="([^"]+)"', client.get(PAGE).text))
    return client.post(PAGE, data={"csrf_token": token, **fields})


def test_every_page_leads_to_the_other_environments(admin):
    for path in ("flags", "instances", "environments"):
        shown = admin.get(f"/environments/demo/{path}").text
        assert '<a href="/environments/staging/flags">staging</a>' in shown
        assert '<a href="/environments/demo/flags" aria-current="true">demo</a>' in shown
    assert admin.get("/environments/staging/flags").status_code == 200


def test_the_list_says_what_each_is_for_and_escapes_it(admin):
    shown = admin.get(PAGE).text
    assert "&lt;img src=x" in shown
    assert "<img src=x" not in shown


def test_an_environment_is_created_and_shown_beside_this_one(api, admin):
    put(api, "demo", "a")
    answer = create(admin, name=" test ", description="for tests")
    assert (answer.status_code, answer.location) == (303, f"{PAGE}?beside=test")
    shown = admin.get(answer.location).text
    assert "From demo to test" in shown
    assert "only in demo" in shown
    assert "signalbox env copy test demo --dry-run" in shown


@pytest.mark.parametrize(("name", "status", "why"), [("staging", 409, "already exists"), ("a/b", 400, "invalid name")])
def test_a_name_that_is_refused_is_said_beside_what_was_typed(admin, name, status, why):
    answer = create(admin, name=name, description="what I typed")
    assert answer.status_code == status
    assert why in answer.text
    assert f'value="{name}"' in answer.text
    assert 'value="what I typed"' in answer.text


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_who_is_no_admin_creates_nothing(api, role):
    client = visitor(api, role)
    assert "New environment" not in client.get(PAGE).text
    assert create(client, name="test").status_code == 403
    assert len(api.get("/api/v1/environments").json["environments"]) == 2


def test_a_difference_shows_each_field_with_both_values(api, admin):
    put(api, "demo", "a", 0)
    put(api, "staging", "a", 50, description=HOSTILE)
    shown = admin.get(f"{PAGE}?beside=staging").text
    row = r'<td class="mono">rollout.percentage</td><td><del>0</del></td><td><ins>50</ins></td>'
    assert re.search(row, shown)
    assert "<img src=x" not in shown


def test_equal_environments_say_so_and_an_unknown_one_is_not_found(admin):
    assert "are the same" in admin.get(f"{PAGE}?beside=staging").text
    assert admin.get(f"{PAGE}?beside=nope").status_code == 404
