"""What the tests of the published OFREP clients share: flags of every type, tokens, and somebody who asks too much."""

import contextlib
import http.client
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from controlplane.account_stores import RedisAccountStore
from controlplane.accounts import Accounts, new_token
from flags import service
from flags.documents import parse_flag
from flags.stores.redis import RedisFlagStore
from foundation.clock import SYSTEM
from foundation.ids import new_id
from foundation.redis import connect

JAVASCRIPT = Path(__file__).parents[1] / "js"
RATE = 50
"""Requests a second that the product of these tests takes from one token."""

FLAGS = {
    "boolean": {"on": True, "off": False},
    "string": {"on": "yaml", "off": "json"},
    "integer": {"on": 7, "off": 0},
    "float": {"on": 2, "off": 0.5},
    "object": {"on": {"a": [1, None, "ü"]}, "off": {}},
    "list": {"on": [1, 2], "off": []},
    "ns/flag": {"on": "nested", "off": "flat"},
    "split": {"on": "yes", "off": "no"},
}
VALUES = {key: variants["on"] for key, variants in FLAGS.items() if key != "split"}


def create_flags(product):
    """Create the flags; only `split` splits, half and half."""
    with closing(RedisFlagStore(product.ready["redis_url"], product.ready["environment"])) as store:
        for key, variants in FLAGS.items():
            rollout = {"rollout": {"percentage": 50}} if key == "split" else {}
            document = {"enabled": True, "variants": variants, "offVariant": "off", **rollout}
            service.create(store, parse_flag(key, document), actor="test")


def admitted(product, scope="sdk"):
    """Admit a token that no other test uses, so that its rate is this test's own."""
    token = new_token(scope)
    with connect(product.ready["redis_url"]) as client:
        Accounts(RedisAccountStore(client), SYSTEM).admit_token(token, new_id())
    return token


@contextlib.contextmanager
def using_up_the_rate(product, token):
    """Ask without end with a token, so that nobody else gets an answer but 429 with it."""
    stop, refused = threading.Event(), threading.Event()

    def ask():
        connection = http.client.HTTPConnection(urlsplit(product.url).netloc, timeout=10)
        with closing(connection):
            while not stop.is_set():
                headers = {"Authorization": f"Bearer {token}"}
                connection.request("POST", "/ofrep/v1/evaluate/flags/string", b"{}", headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 429:
                    refused.set()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        assert refused.wait(20)
        yield
    finally:
        stop.set()
        asking.join()
