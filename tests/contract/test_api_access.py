"""Who may do what: derived from the route table, so that a route without a rule fails here."""

import re

import pytest

from controlplane.accounts import (
    ATTEMPTS_OF_ADDRESS,
    ATTEMPTS_OF_PAIR,
    SESSION_IDLE,
    SESSION_LIFE,
    SESSION_TOUCH,
    WAIT_OF_ADDRESS,
    Role,
)
from controlplane.auth import PUBLIC, Access, access_of
from controlplane.streams import create_streams
from tests.apiclient import PASSWORD, SCOPES, Api, services_in_memory, services_over

CANARY = 418


@pytest.fixture(params=["memory", "redis"])
def api(request):
    if request.param == "memory":
        return Api(services_in_memory())
    return Api(services_over(request.getfixturevalue("redis_url")))


def guarded(make):
    """The application with every view replaced by one that only tells that it was reached."""
    api = Api(services_in_memory()) if make is None else Api(services_in_memory(), make)
    for endpoint, view in api.app.view_functions.items():

        def reached(_view=view, **_values):
            return "reached", CANARY

        access = access_of(api.app, endpoint)
        if access is not None:
            reached.access = access
        api.app.view_functions[endpoint] = reached
    return api


def routes(app):
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]*environment>", "demo", rule.rule)
        path = re.sub(r"<[^>]+>", "x", path)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            yield rule.endpoint, method, path


@pytest.mark.parametrize("make", [None, create_streams], ids=["api and pages", "streams"])
def test_every_route_has_a_rule(make):
    app = Api(services_in_memory()).app if make is None else Api(services_in_memory(), make).app
    without = [rule.rule for rule in app.url_map.iter_rules() if access_of(app, rule.endpoint) is None]
    assert without == []


@pytest.mark.parametrize("make", [None, create_streams], ids=["api and pages", "streams"])
def test_every_scope_passes_exactly_the_doors_that_its_rule_names(make):
    api = guarded(make)
    wrong = []
    for endpoint, method, path in routes(api.app):
        access = access_of(api.app, endpoint)
        for scope in (None, *SCOPES):
            status = api.call(method, path, scope=scope).status_code
            if status != expected(access, scope, page=endpoint.startswith("ui.")):
                wrong.append((method, path, scope, status))
    assert wrong == []


def expected(access: Access, scope, *, page):
    if access.role is None:
        return CANARY
    if scope is None:
        return 302 if page else 401
    allowed = access.sdk if scope == "sdk" else Role.parse(scope) >= access.role
    return CANARY if allowed else 403


def test_only_health_and_the_way_in_are_open_to_everybody():
    app = Api(services_in_memory()).app
    open_to_all = {rule.endpoint for rule in app.url_map.iter_rules() if access_of(app, rule.endpoint) == PUBLIC}
    way_in = {"ui.static", "ui.sign_in", "ui.enter", "ui.set_theme"}
    assert open_to_all <= {"health.healthz", "health.readyz", "ofrep.preflight", *way_in}


OF_SDKS = {"api.renew_instance", "api.remove_instance", "api.report_evaluations"}
CHANGE_NOTHING = {"api.explain_flag"}
"""Asked by POST for the length of what is asked about."""


def test_no_change_is_open_to_viewers_and_none_to_sdks_but_of_instances():
    app = Api(services_in_memory()).app
    for rule in app.url_map.iter_rules():
        access = access_of(app, rule.endpoint)
        if rule.endpoint in CHANGE_NOTHING:
            continue
        if rule.endpoint.startswith("api.") and rule.methods - {"GET", "HEAD", "OPTIONS"}:
            assert access.role >= Role.OPERATOR, rule.rule
            assert access.sdk is (rule.endpoint in OF_SDKS), rule.rule


def test_a_route_that_says_nothing_lets_nobody_through():
    api = Api(services_in_memory())
    api.app.add_url_rule("/forgotten", view_func=lambda: "secret")
    for scope in (None, *SCOPES):
        assert api.get("/forgotten", scope=scope).status_code == 403


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer sb_admin",
        "Bearer sb_admin_x_y",
        "Bearer sb_admin__",
        "sb_admin_x_y",
    ],
)
def test_a_malformed_or_unknown_token_is_refused(api, header):
    answer = api.get("flags", scope=None, headers={"Authorization": header})
    assert (answer.status_code, answer.json["code"]) == (401, "NOT_AUTHENTICATED")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_with_another_scope_or_secret_in_it_is_refused(api):
    _, _, token_id, secret = api.tokens["viewer"].split("_")
    for forged in (f"sb_admin_{token_id}_{secret}", f"sb_viewer_{token_id}_{secret[:-1]}0x"):
        assert api.get("flags", scope=None, headers={"Authorization": f"Bearer {forged}"}).status_code == 401


def test_a_wrong_token_is_not_saved_by_a_good_cookie(api):
    browser = signed_in(api)
    answer = browser.get("/api/v1/environments/demo/flags", headers={"Authorization": "Bearer sb_admin_x_y"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/healthz/../api/v1/environments/demo/flags",
        "/healthz/%2e%2e/api/v1/environments/demo/flags",
        "//api/v1/environments/demo/flags",
        "/api/v1/environments/demo/flags/",
        "/API/v1/environments/demo/flags",
        "/static/../api/v1/environments/demo/flags",
        "/static/..%2f..%2fauth.py",
    ],
)
def test_no_spelling_of_a_path_gets_round_the_door(path):
    answer = Api(services_in_memory()).get(path, scope=None)
    assert answer.status_code in {308, 401, 404}
    assert b"revision" not in answer.data


def test_an_environment_that_is_not_served_is_not_found(api):
    answer = api.get("/api/v1/environments/other/flags")
    assert (answer.status_code, answer.json["code"]) == (404, "ENVIRONMENT_NOT_FOUND")


# Sessions


def browser_of(api):
    return api.app.test_client()


def sign_in(browser, name="operator", password=PASSWORD, **options):
    return browser.post("/sign-in", data={"username": name, "password": password}, **options)


def signed_in(api, name="operator"):
    browser = browser_of(api)
    assert sign_in(browser, name).status_code == 303
    return browser


def csrf_of(api, browser):
    cookie = browser.get_cookie(api.services.settings.cookie_name)
    return api.services.accounts.by_session(cookie.value).csrf


def test_a_session_cookie_can_not_be_read_by_scripts_or_sent_by_other_sites(api):
    set_cookie = sign_in(browser_of(api)).headers["Set-Cookie"]
    assert "HttpOnly" in set_cookie
    assert "SameSite=Lax" in set_cookie
    assert "Secure" not in set_cookie


def test_over_tls_the_cookie_and_the_browser_keep_to_tls():
    services = services_in_memory()
    object.__setattr__(services.settings, "url", "https://signalbox.example")
    answer = sign_in(browser_of(Api(services)))
    assert "Secure" in answer.headers["Set-Cookie"]
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_a_session_reads_without_and_writes_only_with_its_csrf_token(api):
    browser = signed_in(api)
    path = "/api/v1/environments/demo/flags"
    assert browser.get(path).status_code == 200
    document = {"key": "a", "enabled": True, "rolloutPercentage": 0, "fallback": "json"}
    for headers in ({}, {"X-CSRF-Token": "wrong"}, {"X-CSRF-Token": "ünicode".encode().decode("latin-1")}):
        refused = browser.post(path, json=document, headers=headers)
        assert (refused.status_code, refused.json["code"]) == (403, "FORBIDDEN")
    assert browser.post(path, json=document, headers={"X-CSRF-Token": csrf_of(api, browser)}).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_other_sites_can_neither_write_nor_sign_anybody_in(api, headers):
    browser = signed_in(api)
    token = {"X-CSRF-Token": csrf_of(api, browser)}
    assert browser.post("/api/v1/environments/demo/flags", json={}, headers={**headers, **token}).status_code == 403
    assert sign_in(browser_of(api), headers=headers).status_code == 403


def test_signing_in_rotates_the_session_and_ends_the_one_before(api):
    browser = browser_of(api)
    name = api.services.settings.cookie_name
    browser.set_cookie(name, "planted")
    sign_in(browser)
    first = browser.get_cookie(name).value
    assert first != "planted"
    sign_in(browser)
    assert browser.get_cookie(name).value != first
    browser.set_cookie(name, first)
    assert browser.get("/api/v1/environments/demo/flags").status_code == 401


def test_signing_out_ends_the_session(api):
    browser = signed_in(api)
    value = browser.get_cookie(api.services.settings.cookie_name).value
    browser.post("/sign-out", headers={"X-CSRF-Token": csrf_of(api, browser)})
    browser.set_cookie(api.services.settings.cookie_name, value)
    assert browser.get("/api/v1/environments/demo/flags").status_code == 401


def test_a_request_in_flight_does_not_undo_a_sign_out(api, monkeypatch):
    browser, clock, accounts = signed_in(api), api.services.clock, api.services.accounts
    session_id = browser.get_cookie(api.services.settings.cookie_name).value
    clock.advance(SESSION_TOUCH + 1)
    user = accounts._store.user

    def after_a_sign_out(name):
        accounts.sign_out(session_id)
        return user(name)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(accounts._store, "user", after_a_sign_out)
        browser.get("/api/v1/environments/demo/flags")
    assert browser.get("/api/v1/environments/demo/flags").status_code == 401


def test_an_idle_session_ends_and_a_used_one_goes_on():
    api = Api(services_in_memory())
    browser, clock = signed_in(api), api.services.clock
    for _ in range(3):
        clock.advance(SESSION_IDLE * 0.6)
        assert browser.get("/api/v1/environments/demo/flags").status_code == 200
    clock.advance(SESSION_IDLE + 1)
    assert browser.get("/api/v1/environments/demo/flags").status_code == 401


def test_no_session_lasts_forever():
    api = Api(services_in_memory())
    browser, clock = signed_in(api), api.services.clock
    for _ in range(int(SESSION_LIFE / (SESSION_IDLE / 2))):
        assert browser.get("/api/v1/environments/demo/flags").status_code == 200
        clock.advance(SESSION_IDLE / 2)
    clock.advance(1)
    assert browser.get("/api/v1/environments/demo/flags").status_code == 401


def test_guessing_a_password_is_slowed_down_and_a_right_one_forgives(api):
    browser, clock = browser_of(api), api.services.clock
    for _ in range(ATTEMPTS_OF_PAIR):
        assert sign_in(browser, password="wrong").status_code == 401
    assert sign_in(browser, password="wrong").status_code == 429
    assert sign_in(browser).status_code == 429
    assert sign_in(browser, "viewer").status_code == 303
    clock.advance(1.5)
    assert sign_in(browser).status_code == 303
    for _ in range(ATTEMPTS_OF_PAIR):
        assert sign_in(browser, password="wrong").status_code == 401


def test_trying_many_users_from_one_address_is_slowed_down_and_keeps_nobody_out_for_long(api):
    browser, clock = browser_of(api), api.services.clock
    for number in range(ATTEMPTS_OF_ADDRESS + 10):
        api.add_user(f"user{number}")
        clock.advance(WAIT_OF_ADDRESS)
        assert sign_in(browser, f"user{number}", password="wrong").status_code == 401
    assert sign_in(browser, "another").status_code == 429
    clock.advance(WAIT_OF_ADDRESS)
    assert sign_in(browser).status_code == 303


def test_an_unknown_user_and_a_wrong_password_look_the_same(api):
    unknown, wrong = sign_in(browser_of(api), "nobody"), sign_in(browser_of(api), password="wrong")
    assert unknown.status_code == wrong.status_code == 401
    assert unknown.text.replace("nobody", "operator") == wrong.text


def test_secrets_are_kept_as_hashes_only(redis_url):
    import redis

    api = Api(services_over(redis_url))
    browser = signed_in(api)
    cookie = browser.get_cookie(api.services.settings.cookie_name).value
    with redis.Redis.from_url(redis_url) as client:
        kept = b"".join(
            key + (client.get(key) or b"" if client.type(key) == b"string" else repr(client.hgetall(key)).encode())
            for key in client.scan_iter("sb:[ust]*")
        )
    for secret in (PASSWORD, cookie, *(token.rpartition("_")[2] for token in api.tokens.values())):
        assert secret.encode() not in kept


# Headers


def test_every_answer_refuses_what_is_not_ours(api):
    for answer in (
        api.get("/healthz"),
        api.get("flags", scope=None),
        api.get("/nowhere"),
        browser_of(api).get("/sign-in"),
    ):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] == "no-store"


def test_pages_may_connect_to_the_streams_and_nowhere_else():
    services = services_in_memory(stream_url="http://localhost:8081")
    policy = Api(services).get("/healthz").headers["Content-Security-Policy"]
    assert "connect-src 'self' http://localhost:8081;" in policy
