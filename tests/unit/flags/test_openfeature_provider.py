"""The OpenFeature provider over a client whose source does as it is told: life cycle, events, contexts, details."""

import asyncio
import dataclasses
from datetime import UTC, datetime

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode, ProviderFatalError, ProviderNotReadyError
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus

from flags.client import ClientSettings, FlagClient, Status
from flags.model import Revision
from flags.openfeature import SignalboxProvider
from flags.store import Change
from foundation.clock import ManualClock
from tests.flag_sources import PuppetSource, flag, snapshot
from tests.support import eventually

SOON = ClientSettings(start_timeout=0.05)
HALF = {"percentage": 50}


@pytest.fixture(autouse=True)
def _no_provider_left():
    yield
    api.shutdown()


@pytest.fixture
def told():
    """Every event that OpenFeature passes on, as (event, details)."""
    told = []
    for event in ProviderEvent:
        api.add_handler(event, lambda details, event=event: told.append((event, details)))
    eventually(lambda: told)  # the provider that does nothing is ready
    told.clear()
    return told


@pytest.fixture
def clock():
    return ManualClock()


def events(told):
    return [event.name.removeprefix("PROVIDER_") for event, _ in told]


def served(source, **parts):
    """Set a provider over a source, and give OpenFeature's client and ours."""
    client = FlagClient(source, **parts)
    api.set_provider_and_wait(SignalboxProvider(client))
    return api.get_client(), client


# Life cycle.


def test_a_provider_starts_its_client_and_closes_it():
    source = PuppetSource(snapshot(flag()))
    client, ours = served(source)
    assert client.get_provider_status() is ProviderStatus.READY
    assert client.get_string_value("k", "json") == "yaml"
    api.shutdown()
    assert source.closed.is_set()
    assert not any(thread.is_alive() for thread in ours._threads)


def test_a_client_that_others_use_too_is_left_running_and_may_be_provided_again():
    source = PuppetSource(snapshot(flag()))
    with FlagClient(source) as ours:
        for _ in range(2):
            provider = SignalboxProvider(ours, owned=False)
            for _ in range(2):
                api.set_provider_and_wait(provider)
                assert api.get_client().get_string_value("k", "json") == "yaml"
                api.clear_providers()
        assert not source.closed.is_set()
        assert (ours.status, source.runs) == (Status.READY, 1)


def test_a_provider_without_flags_says_so_within_the_start_timeout_and_recovers_by_itself(told):
    source = PuppetSource()
    with pytest.raises(ProviderNotReadyError):
        served(source, settings=SOON)
    client = api.get_client()
    assert client.get_provider_status() is ProviderStatus.ERROR
    details = client.get_string_details("k", "json")
    assert (details.value, details.error_code) == ("json", ErrorCode.PROVIDER_NOT_READY)
    source.feed.replace(snapshot(flag()))
    eventually(lambda: client.get_provider_status() is ProviderStatus.READY)
    assert client.get_string_value("k", "json") == "yaml"
    eventually(lambda: events(told) == ["ERROR", "READY"])


def test_a_provider_set_without_waiting_holds_nobody_up(told):
    source = PuppetSource()
    api.set_provider(SignalboxProvider(FlagClient(source)))
    client = api.get_client()
    assert client.get_provider_status() is ProviderStatus.NOT_READY
    assert client.get_string_details("k", "json").error_code is ErrorCode.PROVIDER_NOT_READY
    eventually(lambda: source.feed).replace(snapshot(flag()))
    eventually(lambda: client.get_provider_status() is ProviderStatus.READY)
    eventually(lambda: events(told) == ["READY"])


def test_a_closed_client_makes_a_provider_that_is_beyond_recovery():
    ours = FlagClient(PuppetSource(snapshot(flag())))
    ours.close()
    with pytest.raises(ProviderFatalError):
        api.set_provider_and_wait(SignalboxProvider(ours))
    assert api.get_client().get_provider_status() is ProviderStatus.FATAL
    assert api.get_client().get_string_details("k", "json").error_code is ErrorCode.PROVIDER_FATAL


def test_each_domain_may_have_a_provider_of_its_own():
    for number in range(3):
        client = FlagClient(PuppetSource(snapshot(flag(on=f"yaml {number}"))))
        api.set_provider_and_wait(SignalboxProvider(client), f"domain-{number}")
    answers = [api.get_client(f"domain-{number}").get_string_value("k", "json") for number in range(3)]
    assert answers == ["yaml 0", "yaml 1", "yaml 2"]
    assert api.get_provider_metadata("domain-1").name == "Signalbox"


# Events.


def test_a_lost_source_makes_the_provider_stale_and_contact_ready_again(told, clock):
    source = PuppetSource(snapshot(flag()))
    client, _ = served(source, clock=clock)
    clock.advance(4.0)
    eventually(lambda: events(told) == ["READY", "STALE"])
    assert client.get_provider_status() is ProviderStatus.STALE
    assert "no contact" in told[-1][1].message
    assert client.get_string_value("k", "json") == "yaml"
    source.feed.contact()
    eventually(lambda: events(told) == ["READY", "STALE", "READY"])
    assert client.get_provider_status() is ProviderStatus.READY


def test_a_client_that_starts_out_stale_is_taken_and_told_to_be_stale(told, clock):
    source = PuppetSource(snapshot(flag()))
    with FlagClient(source, clock=clock, settings=SOON) as ours:
        clock.advance(4.0)
        api.set_provider_and_wait(SignalboxProvider(ours, owned=False))
        eventually(lambda: events(told) == ["READY", "STALE"])
        assert api.get_client().get_provider_status() is ProviderStatus.STALE


def test_a_source_that_is_never_reached_is_an_error_once(told):
    source = PuppetSource()
    with pytest.raises(ProviderNotReadyError, match="has not answered"):
        served(source, settings=SOON)
    source.feed.failed(ConnectionError("refused"))
    source.feed.replace(snapshot(flag()))
    eventually(lambda: events(told)[-1:] == ["READY"])
    assert events(told) == ["ERROR", "READY"]


def test_a_change_is_passed_on_with_the_keys_it_touched_and_holds_by_then(told):
    source = PuppetSource(snapshot(flag("a"), flag("b")))
    client, _ = served(source)
    seen = []
    client.add_handler(
        ProviderEvent.PROVIDER_CONFIGURATION_CHANGED,
        lambda details: seen.append((details.flags_changed, client.get_string_value("a", "json"))),
    )
    source.feed.apply(Change(Revision(1, 2), {"a": flag("a", on="toml"), "c": flag("c")}))
    eventually(lambda: seen)
    assert seen == [(["a", "c"], "toml")]
    eventually(lambda: events(told) == ["READY", "CONFIGURATION_CHANGED"])
    assert told[-1][1].provider_name == "Signalbox"


def test_a_provider_that_was_shut_down_passes_nothing_on(told, clock):
    source = PuppetSource(snapshot(flag()))
    with FlagClient(source, clock=clock) as ours:
        provider = SignalboxProvider(ours, owned=False)
        api.set_provider_and_wait(provider)
        api.shutdown()
        seen = []
        provider.attach(lambda *event: seen.append(event))
        ours.on_status(seen.append)
        ours.on_change(seen.append)
        source.feed.apply(Change(Revision(1, 2), {"k": flag(on="toml")}))
        clock.advance(4.0)
        eventually(lambda: Status.STALE in seen and frozenset({"k"}) in seen)
    assert set(seen) <= {Status.READY, Status.STALE, frozenset({"k"})}


# Contexts and details.


def test_the_targeting_key_is_what_percentages_split_by():
    source = PuppetSource(snapshot(flag(rollout=HALF)))
    client, ours = served(source)
    for number in range(50):
        details = client.get_string_details("k", "json", EvaluationContext(f"corr_{number}"))
        assert details.value == ours.get_string_value("k", "?", {"targetingKey": f"corr_{number}"})
        assert details.reason == Reason.SPLIT
    missing = client.get_string_details("k", "json")
    assert (missing.value, missing.error_code) == ("json", ErrorCode.TARGETING_KEY_MISSING)


def test_attributes_reach_the_rules_and_times_as_text():
    rules = [
        {"if": [{"attribute": "since", "operator": "starts_with", "values": ["2026-11-23T15:54:00"]}], "serve": "on"},
        {"if": [{"attribute": "plan", "operator": "equals", "values": ["gold"]}], "serve": "on"},
    ]
    client, _ = served(PuppetSource(snapshot(flag(rules=rules, rollout={"percentage": 0}))))
    moment = datetime(2026, 11, 23, 15, 54, tzinfo=UTC)
    assert client.get_string_value("k", "?", EvaluationContext(attributes={"since": moment})) == "yaml"
    assert client.get_string_value("k", "?", EvaluationContext(attributes={"plan": "gold"})) == "yaml"
    assert client.get_string_value("k", "?", EvaluationContext(attributes={"plan": ["gold"]})) == "json"
    assert client.get_string_value("k", "?", EvaluationContext(attributes={"plan": {"of": object()}})) == "json"


def test_a_domain_of_the_context_chooses_its_percentage():
    rollout = {"percentage": 0, "domains": {"collections": 100}}
    client, _ = served(PuppetSource(snapshot(flag(rollout=rollout))))
    assert client.get_string_value("k", "?", EvaluationContext("c", {"domain": "collections"})) == "yaml"
    assert client.get_string_value("k", "?", EvaluationContext("c", {"domain": "balance"})) == "json"


def test_an_override_names_itself_in_the_metadata(tmp_path):
    path = tmp_path / "overrides.yaml"
    path.write_text("k: json\n")
    client, _ = served(PuppetSource(snapshot(flag())), overrides=path)
    details = client.get_string_details("k", "?")
    assert (details.value, dict(details.flag_metadata)) == ("json", {"source": "override"})
    assert dataclasses.asdict(details)["flag_metadata"] == {"source": "override"}


def test_what_a_caller_does_to_an_object_changes_it_for_nobody_else():
    thing = flag(variants={"on": {"a": [1]}, "off": {}}, onVariant="on")
    client, _ = served(PuppetSource(snapshot(thing)))
    client.get_object_value("k", {})["a"].append(2)
    assert client.get_object_value("k", {}) == {"a": [1]}


def test_a_whole_number_among_the_variants_of_a_float_flag_is_served():
    client, _ = served(PuppetSource(snapshot(flag(variants={"on": 1.0, "off": 0.5}))))
    details = client.get_float_details("k", 0.0)
    assert (details.value, details.error_code) == (1.0, None)


def test_coroutines_get_the_same_answers_and_defaults():
    client, _ = served(PuppetSource(snapshot(flag(), flag("n", variants={"on": 2, "off": 1}))))

    async def ask():
        return await asyncio.gather(
            client.get_string_details_async("k", "json"),
            client.get_integer_details_async("n", 0),
            client.get_float_details_async("n", 0.0),
            client.get_boolean_details_async("k", True),
            client.get_object_details_async("missing", {"d": 1}),
        )

    answers = asyncio.run(ask())
    assert [answer.value for answer in answers] == ["yaml", 2, 2.0, True, {"d": 1}]
    codes = [None, None, None, ErrorCode.TYPE_MISMATCH, ErrorCode.FLAG_NOT_FOUND]
    assert [answer.error_code for answer in answers] == codes
