import pytest

from controlplane.account_stores import MemoryAccountStore
from controlplane.accounts import SDK, TOKEN_TRUST, TOKENS_TRUSTED, Accounts, Principal, Role, new_token
from controlplane.errors import NotAuthenticated, SettingsInvalid
from foundation.clock import ManualClock


class CountingStore(MemoryAccountStore):
    looks = 0

    def token(self, token_id):
        self.looks += 1
        return super().token(token_id)


@pytest.fixture
def clock():
    return ManualClock(start=1_800_000_000.0)


@pytest.fixture
def store(clock):
    return CountingStore(clock)


@pytest.fixture
def accounts(store, clock):
    return Accounts(store, clock)


def test_a_role_includes_those_below_it_and_sdk_has_none():
    assert [Principal("x", Role.OPERATOR).may(role) for role in Role] == [True, True, False]
    assert not any(Principal("x", None).may(role) for role in Role)


@pytest.mark.parametrize("scope", ["viewer", "operator", "admin", SDK])
def test_a_token_opens_nothing_before_it_is_admitted(accounts, scope):
    token = new_token(scope)
    with pytest.raises(NotAuthenticated):
        accounts.by_token(token)
    accounts.admit_token(token, "ci")
    found = accounts.by_token(token)
    assert (found.name, found.csrf) == ("token:ci", "")
    assert found.role == (None if scope == SDK else Role.parse(scope))


@pytest.mark.parametrize("token", ["", "sb_root_a_b", "sb_admin_a", "xx_admin_a_b", "sb_admin__b", "sb_admin_a_b_c"])
def test_what_is_no_token_is_not_admitted(accounts, token):
    with pytest.raises(SettingsInvalid):
        accounts.admit_token(token, "ci")


def test_a_fleet_that_comes_at_once_shares_a_look(accounts, store, clock):
    token = new_token(SDK)
    accounts.admit_token(token, "fleet")
    for _ in range(100):
        accounts.by_token(token)
    assert store.looks == 1
    clock.advance(TOKEN_TRUST)
    accounts.by_token(token)
    assert store.looks == 2


def test_a_token_that_is_gone_is_trusted_for_a_moment_only(accounts, store, clock):
    token = new_token("admin")
    accounts.admit_token(token, "gone")
    accounts.by_token(token)
    store._tokens.clear()
    clock.advance(TOKEN_TRUST)
    with pytest.raises(NotAuthenticated):
        accounts.by_token(token)


def test_memory_for_trusted_tokens_is_bounded(accounts):
    for _ in range(TOKENS_TRUSTED + 10):
        token = f"sb_sdk_x_{new_token(SDK)[-20:]}"
        accounts.admit_token(token, "many")
        accounts.by_token(token)
    assert len(accounts._trusted) <= TOKENS_TRUSTED


def test_a_session_ends_with_its_user(accounts, store):
    accounts.add_user("ada", "secret", Role.ADMIN)
    session = accounts.sign_in("ada", "secret", "here")
    assert accounts.by_session(session).may(Role.ADMIN)
    store._users.clear()
    with pytest.raises(NotAuthenticated):
        accounts.by_session(session)


def test_a_role_that_is_taken_away_is_gone_at_once(accounts):
    accounts.add_user("ada", "secret", Role.ADMIN)
    session = accounts.sign_in("ada", "secret", "here")
    accounts.add_user("ada", "secret", Role.VIEWER)
    assert not accounts.by_session(session).may(Role.OPERATOR)


def test_an_unknown_role_is_refused():
    with pytest.raises(SettingsInvalid):
        Role.parse("root")
