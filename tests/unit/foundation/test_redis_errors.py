"""Redis URLs and errors, without a server."""

import pytest
from redis import exceptions

from foundation.errors import DocumentError, StoreRefused, StoreUnreachable
from foundation.redis import connect, redacted, refusal, translated


@pytest.mark.parametrize(
    "url", ["http://x", "nonsense", "redis+sentinel://host", "redis+sentinel:///service", "redis://h:x/"]
)
def test_a_malformed_url_is_refused_with_the_forms_that_are_right(url):
    with pytest.raises(DocumentError, match=r"redis\+sentinel://host:port"):
        connect(url)


def test_a_password_is_never_shown():
    assert redacted("redis://me:secret@host:1/0") == "redis://me:***@host:1/0"
    assert redacted("redis+sentinel://:secret@a:1,b:2/s") == "redis+sentinel://:***@a:1,b:2/s"
    assert redacted("unix:///tmp/x.sock") == "unix:///tmp/x.sock"
    with pytest.raises(DocumentError) as caught:
        connect("redis+sentinel://me:secret@host:port/service")
    assert "secret" not in str(caught.value)


def test_a_client_never_repeats_a_command_and_never_waits_without_end():
    options = connect("redis://localhost", timeout=1.5, block=5).connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["socket_connect_timeout"]) == (6.5, 1.5)
    assert options["retry"].get_retries() == 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (exceptions.OutOfMemoryError("command not allowed"), "OOM"),
        (exceptions.ReadOnlyError("You can't write"), "READONLY"),
        (exceptions.AuthenticationError("invalid password"), "NOAUTH"),
        (exceptions.ResponseError("MISCONF Errors writing to the AOF file"), "MISCONF"),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), "NOREPLICAS"),
        (
            exceptions.ResponseError("Error running script (call to f_1): @user_script:3: -OOM command not allowed"),
            "OOM",
        ),
        (exceptions.ResponseError("CONFLICT flag 12-3"), ""),
        (exceptions.ConnectionError("refused"), ""),
    ],
)
def test_a_refusal_is_known_by_the_server_s_own_word(error, reason):
    assert refusal(error) == reason


def test_errors_of_the_library_become_ours_with_their_cause():
    with pytest.raises(StoreUnreachable, match="read flags: no answer") as unreachable, translated("read flags"):
        raise exceptions.TimeoutError("Timeout reading from socket")
    assert isinstance(unreachable.value.__cause__, exceptions.TimeoutError)
    with pytest.raises(StoreRefused) as refused, translated("write flags"):
        raise exceptions.OutOfMemoryError("command not allowed")
    assert refused.value.reason == "OOM"
    with pytest.raises(exceptions.ResponseError, match="CONFLICT"), translated("write flags"):
        raise exceptions.ResponseError("CONFLICT flag")
