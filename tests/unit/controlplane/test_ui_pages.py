import re

import pytest

from controlplane import lever
from flags import edits, service
from flags.documents import parse_flag
from flags.instances import Instance
from flags.model import Hold, Revision
from foundation.errors import StoreUnreachable
from messenger.formats import IDENTITY, JSON
from messenger.frame import Frame
from messenger.queue import DeadLetter, Settlement
from rollout.record import Request, opened
from tests.apiclient import PASSWORD, Api, services_in_memory

KEY = "useYamlMessaging"
HOSTILE = "<img src=x onerror=alert(1)>\"'</script>"
PAGES = (
    "flags",
    f"flags/{KEY}",
    f"flags/{KEY}?tab=history",
    f"flags/{KEY}?tab=settings",
    f"flags/{KEY}/explain",
    "instances",
    "queues",
    "queues/balance/dead-letters",
    "environments",
    "rollback",
)


class Browser:
    """Somebody who signed in, pressing buttons on pages without any script."""

    def __init__(self, api, role):
        self.client = api.app.test_client()
        if role:
            self.client.post("/sign-in", data={"username": role, "password": PASSWORD})

    def get(self, path):
        return self.client.get(f"/environments/demo/{path}")

    def press(self, path, action, **fields):
        """Send the page's form with its hidden fields, as its button `action` would."""
        text = self.get(path).get_data(as_text=True)
        hidden = dict(re.findall(r'<input type="hidden" name="(csrf_token|version)" value="([^"]*)">', text))
        return self.client.post(f"/environments/demo/{path}", data={**hidden, "action": action, **fields})


@pytest.fixture
def api():
    api = Api(services_in_memory())
    document = {
        "enabled": False,
        "variants": {"on": "yaml", "off": "json"},
        "offVariant": "off",
        "rollout": {"percentage": 0},
    }
    service.create(api.connection.store, parse_flag(KEY, {**document, "tags": ["messaging"]}), actor="up")
    return api


@pytest.fixture
def operator(api):
    return Browser(api, "operator")


@pytest.fixture
def flag(api):
    return lambda: service.find(api.connection.store, KEY).flag


def text_of(response):
    return response.get_data(as_text=True)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_shows_itself_to_a_viewer_without_inline_script_or_style(api, path):
    response = Browser(api, "viewer").get(path)
    assert response.status_code == 200
    assert re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|javascript:", text_of(response)) is None
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_a_page_without_signing_in(api, path):
    response = Browser(api, None).get(path)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/sign-in?next=/environments/demo/")


def test_which_environments_there_are_is_not_told_before_the_door(api):
    response = Browser(api, None).client.get("/environments/none/flags")
    assert response.headers["Location"].startswith("/sign-in")


ELSEWHERE = ["//elsewhere", "/\\elsewhere", "https://elsewhere", "elsewhere", ""]
ELSEWHERE += [f"/{junk}/elsewhere" for junk in ("\t", "\n", "\r", "\r\nX: y\r\n", "\\", " ", "\x7f", "é")] + [
    "/flags\n"
]


@pytest.mark.parametrize("target", ELSEWHERE)
def test_signing_in_never_leads_elsewhere(api, target):
    client = api.app.test_client()
    response = client.post("/sign-in", data={"username": "viewer", "password": PASSWORD, "next": target})
    assert (response.status_code, response.headers["Location"]) == (303, "/")


@pytest.mark.parametrize("target", ELSEWHERE)
def test_choosing_a_theme_never_leads_elsewhere(api, target):
    response = api.app.test_client().post("/theme", data={"theme": "dark", "next": target})
    assert (response.status_code, response.headers["Location"]) == (303, "/")


@pytest.mark.parametrize(
    "target", ["/", f"/environments/demo/flags/{KEY}?tab=history", "/environments/demo/flags?q=%C3%A9"]
)
def test_signing_in_leads_to_where_the_visitor_wanted_to_go(api, target):
    client = api.app.test_client()
    response = client.post("/sign-in", data={"username": "viewer", "password": PASSWORD, "next": target})
    assert (response.status_code, response.headers["Location"]) == (303, target)


def test_a_form_enables_and_says_how_far_it_has_got(operator, flag):
    response = operator.press(f"flags/{KEY}", "enable")
    assert response.status_code == 303
    assert "Saved as revision" in text_of(operator.client.get(response.headers["Location"]))
    assert flag().enabled


def test_a_form_sets_percentages_exactly_and_an_empty_field_follows_the_default(operator, flag):
    fields = {"default": "5", "domain.collections": "12.345", "domain.balance": ""}
    assert operator.press(f"flags/{KEY}", "percentages", **fields).status_code == 303
    assert (flag().rollout.weight, flag().rollout.domains) == (5_000, {"collections": 12_345})


@pytest.mark.parametrize("value", ["101", "-1", "nan", "half", "0.0001"])
def test_a_percentage_that_is_none_is_refused_in_words(operator, flag, value):
    response = operator.press(f"flags/{KEY}", "percentages", default=value)
    assert response.status_code == 400
    assert "Not saved: default" in text_of(response)
    assert flag().rollout.weight == 0


@pytest.mark.parametrize("fields", [{"domain.a b": "5"}, {"reason": "x" * 2_001}])
def test_a_form_takes_no_more_than_the_api(operator, flag, fields):
    assert operator.press(f"flags/{KEY}", "percentages", default="1", **fields).status_code == 400
    assert flag().rollout.weight == 0


def test_a_form_without_its_token_changes_nothing(operator, flag):
    response = operator.client.post(f"/environments/demo/flags/{KEY}", data={"action": "enable"})
    assert response.status_code == 403
    assert not flag().enabled


def test_a_viewers_form_changes_nothing(api, flag):
    response = Browser(api, "viewer").press(f"flags/{KEY}", "enable")
    assert response.status_code == 403
    assert "operator" in text_of(response)
    assert not flag().enabled


def test_a_form_made_from_an_older_version_is_refused(api, operator, flag):
    stale = str(service.find(api.connection.store, KEY).version)
    service.change(api.connection.store, [KEY], edits.enable, actor="maria")
    response = operator.press(f"flags/{KEY}", "disable", version=stale)
    assert response.status_code == 412
    assert "somebody changed this flag in the meantime" in text_of(response)
    assert flag().enabled


def test_a_release_made_from_an_older_version_is_refused(api, operator, flag):
    stale = str(service.find(api.connection.store, KEY).version)
    service.change(api.connection.store, [KEY], lambda flag: edits.kill(flag, Hold("maria", "slow")), actor="maria")
    assert operator.press(f"flags/{KEY}", "release", version=stale).status_code == 412


def test_a_held_flag_says_by_whom_and_why_and_only_a_release_frees_it(api, operator, flag):
    hold = Hold("maria", HOSTILE)
    service.change(api.connection.store, [KEY], lambda flag: edits.kill(flag, hold), actor="maria")
    page = text_of(operator.get(f"flags/{KEY}"))
    assert "Held</b> by maria" in page
    assert HOSTILE not in page
    assert operator.press(f"flags/{KEY}", "enable").status_code == 409
    assert operator.press(f"flags/{KEY}", "release", reason="over").status_code == 303
    assert flag().hold is None


def test_a_form_goes_back_to_an_earlier_revision(api, operator, flag):
    first = service.find(api.connection.store, KEY).version
    service.change(api.connection.store, [KEY], edits.enable, actor="maria")
    assert operator.press(f"flags/{KEY}", "revert", revision=str(first)).status_code == 303
    assert not flag().enabled


def test_whatever_people_wrote_is_shown_as_text(api):
    document = {"enabled": True, "variants": {"on": HOSTILE, "off": "off"}, "offVariant": "off", "description": HOSTILE}
    service.create(api.connection.store, parse_flag("a/b.c", document), actor=HOSTILE, reason=HOSTILE)
    viewer = Browser(api, "viewer")
    for path in ("flags", "flags/a/b.c", "flags/a/b.c?tab=history", "flags/a/b.c?tab=settings", "flags/a/b.c/explain"):
        page = text_of(viewer.get(path))
        assert "a/b.c" in page
        assert HOSTILE not in page
        assert "<img" not in page


@pytest.mark.parametrize(
    "path", ["demo/flags/none", "demo/flags/useYamlMessaging?tab=x", "demo/rollback/none", "x/flags"]
)
def test_what_does_not_exist_is_a_page_too(operator, path):
    response = operator.client.get(f"/environments/{path}")
    assert response.status_code == 404
    assert "<h1>" in text_of(response)


def test_flags_can_be_switched_while_the_queue_server_is_gone(api, operator, flag, monkeypatch):
    def gone(_window):
        raise StoreUnreachable("no answer from the queue server")

    monkeypatch.setattr(api.connection.telemetry, "instances", gone)
    assert "no answer from the queue server" in text_of(operator.get("flags"))
    assert operator.press(f"flags/{KEY}", "enable").status_code == 303
    assert flag().enabled


def test_when_the_flags_server_is_gone_the_page_says_so(api, operator, monkeypatch):
    def gone():
        raise StoreUnreachable("no answer from the flags server")

    monkeypatch.setattr(api.connection.store, "snapshot", gone)
    response = operator.get("flags")
    assert response.status_code == 503
    assert "no answer from the flags server" in text_of(response)


def test_a_fault_of_ours_is_logged_and_shown_without_its_secrets(api, operator, monkeypatch, caplog):
    def broken():
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(api.connection.store, "snapshot", broken)
    api.app.testing = False
    response = operator.get("flags")
    assert response.status_code == 500
    assert "42" not in text_of(response)
    assert "the secret is 42" in caplog.text


def test_the_lever_is_not_pulled_without_the_environments_name(operator):
    response = operator.press("rollback", "", reason="why", confirm="prod")
    assert response.status_code == 400
    assert "Not pulled" in text_of(response)


def test_a_lever_that_waits_for_a_rollback_of_other_flags_leads_to_the_list(api, operator, monkeypatch):
    record = opened("rb_1", "demo", Request("maria"), api.services.clock.now())
    api.connection.journal.take(record)
    monkeypatch.setattr(lever, "pull", lambda *_: "")
    response = operator.press("rollback", "", reason="why", confirm="demo")
    assert (response.status_code, response.location) == (303, "/environments/demo/rollback")


def test_a_dead_letter_is_shown_with_its_reason_and_replayed(api, operator):
    queue = api.connection.queues.queue("balance")
    queue.append([("normal", Frame("frm_1", JSON, IDENTITY, 1, "7-3", b"{}", "collections-1"))])
    (delivery,) = queue.receive("balance-1", 1, 0)
    letter = DeadLetter("letter-1", delivery.frame, "normal", "handler", f"boom {HOSTILE}", 5, 1_800_000_000.0)
    queue.settle("balance-1", [Settlement(delivery, letters=(letter,))])
    assert "1 dead" in text_of(operator.get("queues"))
    page = text_of(operator.get("queues/balance/dead-letters"))
    assert "boom &lt;img" in page
    (name,) = re.findall(r'name="ids" value="([^"]+)"', page)
    missing = operator.press("queues/balance/dead-letters", "replay", ids="none")
    assert (missing.status_code, "0 put back into the queue; left: 1" in text_of(missing)) == (409, True)
    assert operator.press("queues/balance/dead-letters", "replay", ids=name).status_code == 303
    assert "Nothing was given up" in text_of(operator.get("queues/balance/dead-letters"))
    assert queue.receive("balance-1", 1, 0)


def test_who_is_live_is_shown_with_what_each_has_and_overrides(api, operator):
    api.connection.registry.renew(
        Instance("b-1.x", "balance-1", "worker", "balance", overrides=(KEY,)), Revision(1, 0), 3.0
    )
    page = text_of(operator.get("instances"))
    assert "balance-1" in page
    assert "behind" in page
    assert f'title="{KEY}">overrides' in page
    assert "0 of 1 worker in sync" in page
    assert "balance-1" in text_of(operator.get(f"flags/{KEY}"))


def test_messages_are_dropped_for_good_from_a_terminal_only(operator):
    response = operator.press("rollback", "", reason="why", confirm="demo", queues="purge")
    assert response.status_code == 400
    assert "Not pulled: queues" in text_of(response)


def test_a_search_narrows_the_list(operator):
    assert KEY in text_of(operator.get("flags?q=yaml+USE"))
    assert "No flag matches" in text_of(operator.get("flags?q=nothing"))


def test_the_theme_is_kept_in_a_cookie_that_knows_three_words(operator):
    operator.client.post("/theme", data={"theme": "dark", "next": "/"})
    assert 'data-theme="dark"' in text_of(operator.get("flags"))
    operator.client.post("/theme", data={"theme": '"><script>', "next": "/"})
    assert "data-theme=" not in text_of(operator.get("flags"))
