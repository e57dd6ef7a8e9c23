"""Fixtures for every test: private Redis servers, and what to do where a service is missing."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from foundation.embedded import EmbeddedRedis, find_server
from foundation.errors import ServerUnavailable

# CI takes the same examples each time, so that it judges the change and not the dice; a laptop looks for new ones.
settings.register_profile("ci", derandomize=True, print_blob=True)
if os.environ.get("CI") == "true":
    settings.load_profile("ci")

IN_MEMORY = {"save": "", "appendonly": "no"}


@pytest.fixture(scope="session")
def require():
    """Ask for something that a bare machine may lack: without it a test is skipped, and fails where CI=true."""

    def ask(name, condition, reason):
        if condition:
            return
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is missing: {reason}")
        pytest.skip(f"{name} is missing: {reason}")

    return ask


@pytest.fixture(scope="session")
def runtime_dir():
    """A short private folder for sockets: pytest's own folders are too deep for a socket's path."""
    folder = Path(tempfile.mkdtemp(prefix="sb-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _redis_present(require):
    try:
        find_server()
    except ServerUnavailable as error:
        require("redis", False, str(error))


@pytest.fixture(scope="session")
def redis_server(_redis_present, runtime_dir, tmp_path_factory):
    """The one server that the tests of this process share; it keeps nothing on disk."""
    server = EmbeddedRedis(tmp_path_factory.mktemp("redis"), runtime_dir, "shared", IN_MEMORY, dies_with_owner=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server):
    """The URL of an empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture
def make_redis(_redis_present, runtime_dir, tmp_path):
    """A function that starts a further server: for tests that stop, fill, copy or configure theirs."""
    servers = []

    def make(name="extra", *, config=None, data_dir=None, start=True):
        server = EmbeddedRedis(
            data_dir or tmp_path / "redis", runtime_dir, name, IN_MEMORY | (config or {}), dies_with_owner=True
        )
        servers.append(server)
        if start:
            server.start()
        return server

    yield make
    for server in servers:
        server.kill()
