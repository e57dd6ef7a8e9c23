"""The settlement example, from a client's request at the gateway to its answer, through real workers."""

import http.client
import json
import os
import signal
import socket

import pytest

from examples.settlement import POOLS
from flags.stores.redis_registry import RedisInstanceRegistry
from messenger.queues.streams import RedisQueueServer
from messenger.queues.telemetry import TelemetryStore
from tests.e2e.fleet import running
from tests.support import eventually

pytestmark = pytest.mark.e2e

ENVIRONMENT = "settlement"
SETTLEMENT = {"settlementId": "PEN_001", "customerId": "CUST_001", "amount": 166.67, "stake": 100.0}


@pytest.fixture(scope="module")
def url(redis_server):
    """A database of this module's own on the shared server: the workers live as long as the module."""
    return f"{redis_server.url}?db=9"


@pytest.fixture(scope="module")
def gateway(url):
    """The address of a gateway with all the workers behind it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    pools = [[domain, count, "examples.settlement"] for domain, count in POOLS.items()]
    site = {"environment": ENVIRONMENT, "flags_url": url, "queue_url": url}
    with running(site, pools, environ={"SETTLEMENT_GATEWAY": address}):
        eventually(lambda: len(RedisInstanceRegistry(url, ENVIRONMENT).live()) == sum(POOLS.values()), 30)
        eventually(lambda: call(address, "GET", "/healthz")[0] == 200)
        yield address


def call(address, method, path, document=None, body=None):
    """Send a request; answers with status and document, or (0, …) where nobody listens."""
    connection = http.client.HTTPConnection(address, timeout=20)
    try:
        connection.request(method, path, body if body is not None else json.dumps(document))
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except ConnectionError as error:
        return 0, str(error)
    finally:
        connection.close()


def results(url, domain):
    """What a domain's handlers committed, as JSON."""
    server = RedisQueueServer(url, ENVIRONMENT)
    found = [json.loads(result) for _, _, result in server.queue(domain).results()]
    server.close()
    return found


def test_a_settlement_goes_through_every_domain_and_comes_back(gateway, url):
    status, answer = call(gateway, "POST", "/collections/process-settlement", SETTLEMENT)

    assert status == 200, answer
    assert answer["notification"]["recipient"] == "CUST_001"
    assert answer["seconds"] < 10
    (booking,) = results(url, "balance")
    assert (booking["change"], booking["balance"]) == (166.67, 1166.67)
    assert [result["status"] for result in results(url, "collections")] == ["processing", "completed"]
    eventually(lambda: [one.get("calculatedAmount") for one in results(url, "distributions")] == [33.33])


@pytest.mark.parametrize(
    ("path", "document"),
    [
        (
            "/free-play/issue-bonus",
            {"transactionId": "FP_1", "customerId": "C", "bonusType": "welcome", "amount": 50.0},
        ),
        ("/adjustments/request", {"adjustmentId": "ADJ_1", "customerId": "C", "amount": -12.5, "reason": "mistake"}),
    ],
)
def test_bonuses_and_adjustments_come_back_too(gateway, path, document):
    status, answer = call(gateway, "POST", path, document)

    assert status == 200, answer
    assert answer["notification"]["recipient"] == "C"


def test_the_time_that_a_settlement_takes_is_recorded(gateway, url):
    assert call(gateway, "POST", "/collections/process-settlement", SETTLEMENT)[0] == 200
    telemetry = TelemetryStore(url, ENVIRONMENT)
    eventually(lambda: any(flow.name == "settlement" and flow.count for flow in telemetry.flows(300)))
    telemetry.close()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[1]", 400),
        (b'{"settlementId": "PEN_1", "customerId": "C"}', 400),
        (b'{"settlementId": "PEN_1", "customerId": "C", "amount": -5}', 400),
        (b" " * 70_000, 413),
    ],
)
def test_what_is_no_settlement_is_refused_and_sent_nowhere(gateway, body, status):
    answer = call(gateway, "POST", "/collections/process-settlement", body=body)

    assert answer[0] == status
    assert "error" in answer[1]


def test_a_client_is_answered_after_the_workers_of_a_domain_were_killed(gateway, url):
    for one in RedisInstanceRegistry(url, ENVIRONMENT).live():
        if one.instance.domain == "balance":
            os.kill(one.instance.pid, signal.SIGKILL)

    assert call(gateway, "POST", "/collections/process-settlement", SETTLEMENT)[0] == 200
