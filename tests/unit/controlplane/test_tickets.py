import pytest

from controlplane.tickets import WINDOW, is_good, issue, token_id_of

NOW = 1_800_000_000.0
TICKET = issue("abc", "digest", "/events", NOW)


def test_a_ticket_is_good_for_its_path_and_its_token():
    assert token_id_of(TICKET) == "abc"
    assert is_good(TICKET, "digest", "/events", NOW)
    assert not is_good(TICKET, "another", "/events", NOW)
    assert not is_good(TICKET, "digest", "/changes", NOW)


def test_a_ticket_lasts_for_one_window_at_least_and_two_at_most():
    begin = NOW // WINDOW * WINDOW
    for issued in (begin, begin + WINDOW - 1):
        ticket = issue("abc", "digest", "/events", issued)
        assert is_good(ticket, "digest", "/events", issued + WINDOW)
        assert not is_good(ticket, "digest", "/events", issued + 2 * WINDOW)


def test_tickets_of_one_window_are_the_same():
    begin = NOW // WINDOW * WINDOW
    assert issue("abc", "d", "/e", begin) == issue("abc", "d", "/e", begin + WINDOW - 1)
    assert issue("abc", "d", "/e", begin) != issue("abc", "d", "/e", begin + WINDOW)


MALFORMED = ["", "a", "a.b", "a.b.c", "a.1", "a.1.b.c", "a.-1.b", "a.\u0661.b", "\u00e9.1.b", f"a.{'9' * 13}.b"]


@pytest.mark.parametrize("ticket", MALFORMED)
def test_what_is_malformed_is_nobodys(ticket):
    assert token_id_of(ticket) == ""
    assert not is_good(ticket, "digest", "/events", NOW)
