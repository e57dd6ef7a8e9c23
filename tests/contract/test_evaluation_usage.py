"""From a call in a process to what the API says of the flag: over Redis, over HTTP, over OFREP, and across a fork."""

import os
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from controlplane.context import live_flags
from flags.client import FlagClient
from flags.counts import MAX_ENTRIES
from flags.instances import Instance
from flags.reporting import Reporter
from flags.sources.http import HttpSource
from flags.sources.redis import RedisSource
from flags.stores.redis_counts import RedisEvaluationCounts
from flags.usage import DAY
from tests.apiclient import Api, services_in_memory, services_over
from tests.control_planes import ControlPlane
from tests.proxies import Proxy

FLAG = {"enabled": True, "variants": {"on": "yaml", "off": "json"}, "offVariant": "off", "rollout": {"percentage": 100}}
NOBODY = {"variants": {}, "defaults": 0}


@pytest.fixture(params=["memory", "redis"])
def api(request):
    api = Api(
        services_in_memory() if request.param == "memory" else services_over(request.getfixturevalue("redis_url"))
    )
    create(api, "k", "team/k")
    yield api
    live_flags(api.app).close()


@pytest.fixture
def plane(redis_url):
    plane = ControlPlane(redis_url)
    create(plane.api, "k", "team/k")
    yield plane
    plane.close()


def create(api, *keys):
    for key in keys:
        assert api.post("flags", {"key": key, **FLAG}).status_code == 201


def report(api, number=1, *, counts, instance="web-1.x1", scope="sdk", **more):
    content = {"number": number, "counts": counts, **more}
    return api.call("POST", f"instances/{instance}/evaluations", scope=scope, json=content)


def total(api, key):
    return api.get(f"flags/{key}/usage").json["total"]


def open_client(plane, source, redis_url):
    made = {
        "redis": lambda: RedisSource(redis_url, "demo", heartbeat=0.2),
        "http": lambda: HttpSource(plane.url, "demo", plane.token),
    }
    return FlagClient(made[source](), instance=Instance("one.x1", "one"))


# ---- the API


def test_what_is_reported_is_told_by_day_and_variant(api):
    assert report(api, counts={"k": {"on": 3, "": 1}, "team/k": {"off": 2}}).status_code == 204
    answer = api.get("flags/k/usage?days=2", scope="viewer").json
    today = datetime.fromtimestamp(api.connection.counts.served().now, UTC).date().isoformat()
    assert answer["key"] == "k"
    assert answer["total"] == {"variants": {"on": 3}, "defaults": 1}
    assert [day["variants"] for day in answer["days"]] == [{}, {"on": 3}]
    assert answer["days"][-1]["day"] == today
    assert answer["last_evaluated"] == api.get("flags/k").json["last_evaluated"] > 0
    assert total(api, "team/k") == {"variants": {"off": 2}, "defaults": 0}


def test_a_report_that_is_repeated_counts_once(api):
    for _ in range(2):
        assert report(api, counts={"k": {"on": 3}}).status_code == 204
    assert total(api, "k")["variants"] == {"on": 3}


def test_a_flag_that_was_never_evaluated_says_so(api):
    assert (total(api, "k"), api.get("flags/k").json["last_evaluated"]) == (NOBODY, None)
    assert api.get("flags/gone/usage").status_code == 404


def test_keys_that_are_no_flags_are_listed_until_somebody_creates_them(api):
    report(api, counts={"typo": {"": 2}, "soon": {"": 5}, "k": {"on": 1}})
    assert api.get("undefined").json == {"keys": [{"key": "soon", "asked": 5}, {"key": "typo", "asked": 2}]}
    create(api, "soon")
    assert api.get("undefined?days=1").json == {"keys": [{"key": "typo", "asked": 2}]}


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"counts": {"a b": {"on": 1}}}, "counts"),
        ({"counts": {"k": {"o n": 1}}}, "counts.k"),
        ({"counts": {"k": {"on": 0}}}, "counts.k.on"),
        ({"counts": {"k": {"on": -1}}}, "counts.k.on"),
        ({"counts": {"k": {"on": 1.5}}}, "counts.k.on"),
        ({"counts": {"k": {"on": True}}}, "counts.k.on"),
        ({"counts": {"k": {"on": 10**13}}}, "counts.k.on"),
        ({"counts": {"k": 1}}, "counts.k"),
        ({"counts": [1]}, "counts"),
        ({"counts": {f"k{number}": {"on": 1, "off": 1} for number in range(MAX_ENTRIES)}}, "counts"),
        ({"number": 0, "counts": {}}, "number"),
        ({"number": "1", "counts": {}}, "number"),
        ({"counts": {}, "junk": 1}, "junk"),
    ],
)
def test_what_is_no_report_is_refused_and_adds_nothing(api, content, field):
    answer = report(api, **content)
    assert (answer.status_code, answer.json["field"]) == (400, field)
    assert total(api, "k") == NOBODY


@pytest.mark.parametrize("days", ["0", "91", "x", "-1", "1.5"])
def test_days_that_are_not_kept_are_refused(api, days):
    assert api.get(f"flags/k/usage?days={days}").status_code == 400
    assert api.get(f"undefined?days={days}").status_code == 400


def test_a_flag_that_nobody_asks_for_is_marked_and_can_be_listed_alone():
    api = Api(services_in_memory(stale_days=10))
    create(api, "k", "idle", "expired")
    api.call("PATCH", "flags/expired", json={"lifetime": "temporary", "expires": "2027-01-01"})
    report(api, counts={"k": {"on": 1}})
    assert [flag["key"] for flag in api.get("flags?stale=true").json["flags"]] == ["expired"]
    api.services.clock.advance(10 * DAY)
    report(api, 2, counts={"k": {"on": 1, "off": 1}})
    found = {flag["key"]: flag["stale"] for flag in api.get("flags?stale=true").json["flags"]}
    assert found["expired"]["reason"] == "expired"
    assert found["idle"] == {"reason": "not_evaluated", "since": 1_800_000_000.0, "variant": None}
    assert set(found) == {"expired", "idle"}
    assert api.get("flags/k").json["stale"] is None


def test_a_flag_that_only_another_flag_asks_for_is_in_use():
    api = Api(services_in_memory(stale_days=10))
    create(api, "k", "base")
    needs = [{"flag": "base", "variants": ["on"]}]
    assert api.call("PATCH", "flags/k", json={"prerequisites": needs}).status_code == 200
    report(api, counts={"k": {"on": 1}})
    api.services.clock.advance(10 * DAY)
    report(api, 2, counts={"k": {"on": 1, "off": 1}})
    assert api.get("flags/base").json["stale"] is None
    assert api.get("flags?stale=true").json["flags"] == []


# ---- from the SDK


@pytest.mark.parametrize("source", ["redis", "http"])
def test_what_a_client_evaluates_is_told_by_the_api(plane, redis_url, source):
    with open_client(plane, source, redis_url) as client:
        for _ in range(7):
            client.get_string_value("k", "json", {"targetingKey": "x"})
        client.get_string_details("team/k", "json")
        client.get_boolean_value("k", False)
        client.get_string_value("nobody", "json")
    assert total(plane.api, "k") == {"variants": {"on": 7}, "defaults": 1}
    assert total(plane.api, "team/k") == {"variants": {"on": 1}, "defaults": 0}
    assert plane.api.get("undefined").json == {"keys": [{"key": "nobody", "asked": 1}]}
    assert plane.api.get("flags/k").json["last_evaluated"] == pytest.approx(time.time(), abs=20)


@pytest.mark.parametrize("source", ["redis", "http"])
def test_an_outage_loses_no_count_and_an_answer_that_was_lost_counts_none_twice(plane, redis_url, runtime_dir, source):
    if source == "http":
        proxy = Proxy((plane.address[0], 0), plane.address)
        reporting = HttpSource(proxy.url, "demo", plane.token)
    else:
        proxy = Proxy(runtime_dir / "counts.sock", Path(urlsplit(redis_url).path))
        reporting = RedisSource(proxy.url, "demo", timeout=0.3)
    reporter = Reporter(partial(reporting.report, "one.x1"))
    faults = [proxy.lose_answer, proxy.cut_answer, proxy.lose_answer, lambda: proxy.refuse(on=True)]
    for fault in faults:
        fault()
        for _ in range(2):
            reporter.collector.miss("k")
            reporter.report(())
        proxy.refuse(on=False)
    reporter.report(())
    proxy.close()
    assert proxy.lost
    assert total(plane.api, "k") == {"variants": {}, "defaults": 2 * len(faults)}


def test_ofrep_counts_what_it_answers(api):
    context = {"context": {"targetingKey": "x"}}
    base = "/api/v1/environments/demo/ofrep/v1/evaluate/flags"
    assert api.call("POST", f"{base}/k", json=context).status_code == 200
    assert api.call("POST", f"{base}/nobody", json=context).status_code == 404
    assert api.call("POST", base, json=context).status_code == 200
    live_flags(api.app).close()
    assert total(api, "k")["variants"] == {"on": 2}
    assert total(api, "team/k")["variants"] == {"on": 1}
    assert api.get("undefined").json == {"keys": [{"key": "nobody", "asked": 1}]}


def test_processes_and_their_forks_report_each_what_they_evaluated(plane, redis_url):
    script = """
    import os
    from flags.client import FlagClient

    client = FlagClient.from_environment()
    assert client.start()
    for _ in range(100):
        client.get_string_value("k", "json")
    children = []
    for _ in range(2):  # three forks in all: two of this process, one of the first child
        pid = os.fork()
        children = [*children, pid] if pid else []
    for _ in range(10):
        client.get_string_value("k", "json")
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    client.close()
    os._exit(0)
    """
    environ = {**os.environ, "SIGNALBOX_REDIS_URL": redis_url, "SIGNALBOX_ENV": "demo"}
    code = textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert total(plane.api, "k")["variants"] == {"on": 140}
    counts = RedisEvaluationCounts(redis_url, "demo")
    assert len(list(counts._client.scan_iter("sb:{demo}:reported:*"))) == 4
    counts.close()
