"""Runs the whole product for tests and screenshots, and speaks to its API as somebody other than the browser's user."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import dataclass

from tests.support import eventually

MESSAGING = ("useYamlMessaging", "enableCompression", "enableBatching")


@dataclass(frozen=True)
class Product:
    """A running `signalbox up`: what its ready file says, and its API."""

    ready: dict

    @property
    def url(self):
        return self.ready["url"]

    def page(self, path):
        """Address of a page of the environment."""
        return f"{self.url}/environments/{self.ready['environment']}/{path}"

    def api(self, method, path, body=None):
        """Call the API with the admin's token; answers with the JSON document."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.url}/api/v1/environments/{self.ready['environment']}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.ready['admin_token']}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - our own server
            return json.load(response)

    def flag(self, key):
        return self.api("GET", f"flags/{key}")

    def set_percentages(self, key, default=0, **domains):
        return self.api("PUT", f"flags/{key}/percentages", {"default": default, "domains": domains})

    def reset(self):
        """Put the messaging flags to how `up` makes them: released, enabled, at 0%."""
        for key in MESSAGING:
            flag = self.flag(key)
            if flag["hold"]:
                self.api("POST", f"flags/{key}/release", {})
            if flag["percentages"] != {"default": 0, "domains": {}}:
                self.set_percentages(key)
            if not flag["enabled"]:
                self.api("POST", f"flags/{key}/enable", {})


@contextlib.contextmanager
def running_product(folder, *arguments, **environ):
    """Run `signalbox up` in a folder until the end of the block; whatever it says stands in `up.log` there."""
    ready = folder / "ready.json"
    log = folder / "up.log"
    command = [sys.executable, "-m", "controlplane.cli", "up", "--port", str(free_port())]
    command += ["--data-dir", str(folder / "data"), "--ready-file", str(ready), *arguments]
    known = {**os.environ, **environ}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=known)
    try:
        eventually(
            lambda: ready.exists() or process.poll() is not None, timeout=60, interval=0.1, message=log.read_text
        )
        assert process.poll() is None, log.read_text()
        yield Product(json.loads(ready.read_text()))
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
