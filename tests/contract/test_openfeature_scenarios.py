"""OpenFeature's published scenarios, on the provider over a file of flags.

They are Gherkin in the repository open-feature/spec (specification/assets/gherkin, and provider-tck/gherkin for the
provider kit), which no package index carries. What is here is what they ask for, in our words: a test is named for its
scenario, a comment for its feature file, and the flags are those of `test-flags.json`. Not asked of us: the reason
CACHED, since nothing is cached, and tracking, which the provider takes and drops.
"""

import asyncio
import copy
import json

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode, OpenFeatureError
from openfeature.flag_evaluation import FlagEvaluationOptions, Reason
from openfeature.hook import Hook
from openfeature.provider import ProviderStatus
from openfeature.transaction_context import ContextVarsTransactionContextPropagator

from flags.client import ClientSettings, FlagClient
from flags.openfeature import SignalboxProvider
from flags.sources.file import FileSource
from tests.openfeature_flags import METADATA, TEMPLATE, ZEROS, documents
from tests.support import eventually

KINDS = list(ZEROS)
DEFAULTS = {"boolean": False, "string": "bye", "integer": 1, "float": 0.1, "object": {"a": 1}}
RESOLVED = {
    "boolean": (True, "on"),
    "string": ("hi", "greeting"),
    "integer": (10, "ten"),
    "float": (0.5, "half"),
    "object": (TEMPLATE, "template"),
}
NON_ZERO = {"boolean": True, "string": "hi", "integer": 1, "float": 0.1, "object": {"a": 1}}
LEVELS = ["API", "Transaction", "Client", "Invocation", "Before Hooks"]


@pytest.fixture(autouse=True)
def _nothing_left():
    yield
    api.shutdown()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "flags.json"
    path.write_text(json.dumps(documents()))
    return path


@pytest.fixture
def client(file):
    """OpenFeature's client over a stable provider."""
    api.set_provider_and_wait(SignalboxProvider(FlagClient(FileSource(file))))
    return api.get_client()


def not_ready(file):
    api.set_provider(SignalboxProvider(FlagClient(FileSource(file.with_name("none.json")))))


def erroneous(file):
    settings = ClientSettings(start_timeout=0.0)
    provider = SignalboxProvider(FlagClient(FileSource(file.with_name("none.json")), settings=settings))
    with pytest.raises(OpenFeatureError):
        api.set_provider_and_wait(provider)


def fatal(file):
    closed = FlagClient(FileSource(file))
    closed.close()
    with pytest.raises(OpenFeatureError):
        api.set_provider_and_wait(SignalboxProvider(closed))


def stable(file):
    api.set_provider_and_wait(SignalboxProvider(FlagClient(FileSource(file))))


def stale(file):
    stable(file)
    file.unlink()


def details(client, kind, key, default, *rest):
    return getattr(client, f"get_{kind}_details")(key, default, *rest)


def defaulted(answer, default, code):
    return (answer.value, answer.reason, answer.error_code) == (default, Reason.ERROR, code)


# evaluation.feature


@pytest.mark.parametrize("kind", KINDS)
def test_resolves_value(client, kind):
    value, _ = RESOLVED[kind]
    assert getattr(client, f"get_{kind}_value")(f"{kind}-flag", DEFAULTS[kind]) == value


@pytest.mark.parametrize("kind", KINDS)
def test_resolves_details(client, kind):
    answer = details(client, kind, f"{kind}-flag", None if kind == "object" else DEFAULTS[kind])
    assert (answer.value, answer.variant, answer.reason) == (*RESOLVED[kind], Reason.STATIC)


def test_resolves_based_on_context(client):
    context = EvaluationContext(attributes={"fn": "Sulisław", "ln": "Świętopełk", "age": 29, "customer": "false"})
    assert client.get_string_value("context-aware", "EXTERNAL", context) == "INTERNAL"
    assert client.get_string_value("context-aware", "EXTERNAL") == "EXTERNAL"


def test_flag_not_found(client):
    assert defaulted(client.get_string_details("missing-flag", "uh-oh"), "uh-oh", ErrorCode.FLAG_NOT_FOUND)


def test_type_error(client):
    assert defaulted(client.get_integer_details("wrong-flag", 13), 13, ErrorCode.TYPE_MISMATCH)


# evaluation_v2.feature


@pytest.mark.parametrize("kind", KINDS)
def test_resolve_values(client, kind):
    assert details(client, kind, f"{kind}-flag", DEFAULTS[kind]).value == RESOLVED[kind][0]


@pytest.mark.parametrize("kind", KINDS)
def test_resolves_zero_value(client, kind):
    answer = details(client, kind, f"{kind}-zero-flag", NON_ZERO[kind])
    assert (answer.value, answer.reason) == (ZEROS[kind][0], Reason.STATIC)


@pytest.mark.parametrize("kind", KINDS)
def test_resolves_zero_value_with_targeting(client, kind):
    context = EvaluationContext(attributes={"email": "ballmer@macrosoft.com"})
    answer = details(client, kind, f"{kind}-targeted-zero-flag", NON_ZERO[kind], context)
    assert (answer.value, answer.reason) == (ZEROS[kind][0], Reason.TARGETING_MATCH)


@pytest.mark.parametrize("kind", KINDS)
def test_resolves_zero_value_with_targeting_using_default(client, kind):
    context = EvaluationContext(attributes={"email": "ballmer@none.com"})
    answer = details(client, kind, f"{kind}-targeted-zero-flag", NON_ZERO[kind], context)
    assert (answer.value, answer.reason) == (ZEROS[kind][0], Reason.DEFAULT)


@pytest.mark.parametrize("kind", KINDS)
def test_flag_not_found_error(client, kind):
    answer = details(client, kind, "non-existent-flag", DEFAULTS[kind])
    assert defaulted(answer, DEFAULTS[kind], ErrorCode.FLAG_NOT_FOUND)


@pytest.mark.parametrize(
    ("key", "kind", "default"),
    [
        ("boolean-flag", "string", "bye"),
        ("string-flag", "boolean", False),
        ("string-flag", "integer", 1),
        ("string-flag", "object", {}),
    ],
)
def test_type_mismatch_error(client, key, kind, default):
    assert defaulted(details(client, kind, key, default), default, ErrorCode.TYPE_MISMATCH)


@pytest.mark.parametrize("kind", KINDS)
def test_provider_not_ready_error(file, kind):
    not_ready(file)
    answer = details(api.get_client(), kind, f"{kind}-flag", DEFAULTS[kind])
    assert defaulted(answer, DEFAULTS[kind], ErrorCode.PROVIDER_NOT_READY)


@pytest.mark.parametrize("kind", KINDS)
def test_provider_in_fatal_state_error(file, kind):
    fatal(file)
    answer = details(api.get_client(), kind, f"{kind}-flag", DEFAULTS[kind])
    assert defaulted(answer, DEFAULTS[kind], ErrorCode.PROVIDER_FATAL)


@pytest.mark.parametrize("kind", KINDS)
def test_complete_evaluation_details_structure(client, kind):
    answer = details(client, kind, f"{kind}-flag", DEFAULTS[kind])
    assert (answer.flag_key, answer.value, answer.variant) == (f"{kind}-flag", *RESOLVED[kind])
    assert (answer.reason, answer.error_code) == (Reason.STATIC, None)


def test_flag_metadata_in_evaluation_details(client):
    metadata = client.get_boolean_details("metadata-flag", True).flag_metadata
    assert metadata == METADATA
    assert [type(value) for value in metadata.values()] == [str, int, float, bool]


@pytest.mark.parametrize("attributes", [None, {"email": None}], ids=["empty", "null"])
@pytest.mark.parametrize("kind", KINDS)
def test_empty_evaluation_context_and_null_context_values(client, kind, attributes):
    context = None if attributes is None else EvaluationContext(attributes=attributes)
    answer = details(client, kind, f"{kind}-targeted-zero-flag", NON_ZERO[kind], context)
    assert (answer.value, answer.reason) == (ZEROS[kind][0], Reason.DEFAULT)


def test_multiple_context_attributes_targeting(client):
    attributes = {"email": "ballmer@macrosoft.com", "role": "admin", "age": 65, "customer": False}
    answer = client.get_string_details("context-aware", "false", EvaluationContext(attributes=attributes))
    assert (answer.value, answer.reason) == ("INTERNAL", Reason.TARGETING_MATCH)


def test_structure_flag_evaluation(client):
    answer = client.get_object_details("object-flag", {})
    assert (answer.value, answer.reason) == (TEMPLATE, Reason.STATIC)


@pytest.mark.parametrize("kind", KINDS)
def test_variant_field_population(client, kind):
    assert details(client, kind, f"{kind}-flag", DEFAULTS[kind]).variant == RESOLVED[kind][1]


@pytest.mark.parametrize("kind", ["boolean", "string"])
def test_disabled_reason(client, kind):
    answer = details(client, kind, f"{kind}-disabled-flag", DEFAULTS[kind])
    assert (answer.value, answer.reason) == (DEFAULTS[kind], Reason.DISABLED)


def test_error_message_in_evaluation_details(client):
    answer = client.get_boolean_details("error-flag", False)
    assert answer.reason == Reason.ERROR
    assert "flag error-flag not found" in answer.error_message


@pytest.mark.parametrize("state", [stable, not_ready, erroneous, fatal, stale], ids=lambda state: state.__name__)
def test_provider_status_accessibility(file, state):
    state(file)
    expected = {stable: "READY", not_ready: "NOT_READY", erroneous: "ERROR", fatal: "FATAL", stale: "STALE"}[state]
    eventually(lambda: api.get_client().get_provider_status() is ProviderStatus[expected])


class Recorder(Hook):
    """Writes down the stages that ran, with what they were told."""

    def __init__(self, log, name="", adds=None):
        self.log, self.name, self.adds = log, name, adds

    def before(self, hook_context, hints):
        self.log.append((self.name, "before", hook_context))
        return self.adds

    def after(self, hook_context, details, hints):
        self.log.append((self.name, "after", details))

    def error(self, hook_context, exception, hints):
        self.log.append((self.name, "error", exception))

    def finally_after(self, hook_context, details, hints):
        self.log.append((self.name, "finally", details))


def test_evaluation_options_with_hooks(client):
    log = []
    options = FlagEvaluationOptions(hooks=[Recorder(log, "a"), Recorder(log, "b")])
    client.get_boolean_details("boolean-flag", False, None, options)
    expected = ["before a", "before b", "after b", "after a", "finally b", "finally a"]
    assert [f"{stage} {name}" for name, stage, _ in log] == expected


@pytest.mark.parametrize(
    ("key", "kind"),
    [("string-flag", "boolean"), ("boolean-flag", "string"), ("boolean-flag", "integer"), ("boolean-flag", "float")],
)
def test_default_value_type_validation(client, key, kind):
    assert defaulted(details(client, kind, key, DEFAULTS[kind]), DEFAULTS[kind], ErrorCode.TYPE_MISMATCH)


def test_evaluation_context_immutability(client):
    context = EvaluationContext("key", {"customer": False, "list": [1, {"deep": True}]})
    before = copy.deepcopy(context)
    first = client.get_string_details("context-aware", "?", context)
    assert context == before
    first.value = first.reason = "changed"
    assert client.get_string_details("context-aware", "?", context).value == "INTERNAL"


def test_asynchronous_flag_evaluation(client):
    async def ask():
        return [await client.get_boolean_details_async(key, False) for key in ("async-flag", "missing-flag")]

    assert asyncio.run(ask()) == [client.get_boolean_details(key, False) for key in ("async-flag", "missing-flag")]


# hooks.feature


def hooked(client):
    log = []
    client.add_hooks([Recorder(log)])
    return log


def story(told):
    return (told.flag_key, told.value, told.variant, told.reason, told.error_code)


def test_passes_evaluation_details_to_after_and_finally_hooks(client):
    log = hooked(client)
    client.get_boolean_details("boolean-flag", False)
    assert [stage for _, stage, _ in log] == ["before", "after", "finally"]
    assert [story(told) for _, _, told in log[1:]] == [("boolean-flag", True, "on", Reason.STATIC, None)] * 2


@pytest.mark.parametrize(
    ("kind", "key", "default", "code"),
    [
        ("string", "missing-flag", "uh-oh", ErrorCode.FLAG_NOT_FOUND),
        ("integer", "wrong-flag", 13, ErrorCode.TYPE_MISMATCH),
    ],
    ids=["Flag not found", "Type error"],
)
def test_hooks_are_told_of_errors(client, kind, key, default, code):
    log = hooked(client)
    details(client, kind, key, default)
    assert [stage for _, stage, _ in log] == ["before", "error", "finally"]
    assert story(log[-1][2]) == (key, default, None, Reason.ERROR, code)


# metadata.feature


def test_returns_metadata(client):
    test_flag_metadata_in_evaluation_details(client)


@pytest.mark.parametrize("kind", ["boolean", "integer", "float", "string"])
def test_returns_no_metadata(client, kind):
    assert details(client, kind, f"{kind}-flag", DEFAULTS[kind]).flag_metadata == {}


# contextMerging.feature and evaluation_context.feature


@pytest.fixture
def evaluated(file):
    """Evaluate some flag with entries added at levels, and give the context that reached Signalbox's own client."""

    class Retrieving(FlagClient):
        def get_boolean_details(self, flag_key, default_value, context=None):
            self.context = context
            return super().get_boolean_details(flag_key, default_value, context)

    ours = Retrieving(FileSource(file))
    api.set_provider_and_wait(SignalboxProvider(ours))
    api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())

    def evaluate(entries):
        contexts = {level: EvaluationContext(attributes=entries.get(level, {})) for level in LEVELS}
        client = api.get_client()
        api.set_evaluation_context(contexts["API"])
        api.set_transaction_context(contexts["Transaction"])
        client.context = contexts["Client"]
        client.add_hooks([Recorder([], adds=contexts["Before Hooks"])])
        client.get_boolean_value("boolean-flag", False, contexts["Invocation"])
        return ours.context

    yield evaluate
    api.set_transaction_context(EvaluationContext())


@pytest.mark.parametrize("level", LEVELS)
def test_a_context_entry_is_added_to_a_single_level(evaluated, level):
    assert evaluated({level: {"key": "value"}}) == {"key": "value"}


def test_a_context_entry_is_added_to_each_level_with_different_keys(evaluated):
    assert evaluated({level: {level: f"{level} value"} for level in LEVELS}) == {
        level: f"{level} value" for level in LEVELS
    }


@pytest.mark.parametrize("level", LEVELS)
def test_a_context_entry_in_one_level_overwrites_values_with_the_same_key_from_preceding_levels(evaluated, level):
    given = LEVELS[: LEVELS.index(level) + 1]
    assert evaluated({each: {"key": each} for each in given}) == {"key": level}


@pytest.mark.parametrize("value", [True, "user@example.com", 25], ids=["boolean", "string", "integer"])
def test_evaluation_context_custom_field_types(evaluated, value):
    seen = evaluated({"Invocation": {"field": value}})["field"]
    assert (seen, type(seen)) == (value, type(value))


def test_evaluation_context_targeting_key_field_and_without_targeting_key(client):
    assert client.get_boolean_value("boolean-flag", False, EvaluationContext("user-123")) is True
    assert client.get_boolean_value("boolean-flag", False, EvaluationContext()) is True


# events.feature, and the provider kit's events.feature and lifecycle.feature


@pytest.fixture
def told():
    told = []
    for event in ProviderEvent:
        api.get_client().add_handler(event, lambda details, event=event: told.append((event.name, details)))
    eventually(lambda: told)
    told.clear()
    return told


def test_provider_ready_is_emitted(told, file):
    stable(file)
    eventually(lambda: [name for name, _ in told] == ["PROVIDER_READY"])


def test_provider_error_is_emitted(told, file):
    erroneous(file)
    eventually(lambda: [name for name, _ in told] == ["PROVIDER_ERROR"])
    assert defaulted(api.get_client().get_boolean_details("boolean-flag", False), False, ErrorCode.PROVIDER_NOT_READY)


def test_provider_configuration_changed_is_emitted_and_applied(told, file):
    stable(file)
    changed = documents()
    changed["flags"]["changing-flag"]["onVariant"], changed["flags"]["changing-flag"]["offVariant"] = "bar", "foo"
    assert api.get_client().get_string_value("changing-flag", "unset") == "foo"
    file.write_text(json.dumps(changed))
    eventually(lambda: "PROVIDER_CONFIGURATION_CHANGED" in [name for name, _ in told])
    assert told[-1][1].flags_changed == ["changing-flag"]
    assert api.get_client().get_string_value("changing-flag", "unset") == "bar"


def test_losing_the_backend_makes_the_provider_stale_regaining_it_makes_it_ready_again(told, file):
    stable(file)
    file.rename(file.with_suffix(".away"))
    eventually(lambda: told[-1:] and told[-1][0] == "PROVIDER_STALE")
    assert api.get_client().get_provider_status() is ProviderStatus.STALE
    file.with_suffix(".away").rename(file)
    eventually(lambda: told[-1][0] == "PROVIDER_READY")
    assert api.get_client().get_provider_status() is ProviderStatus.READY


# The provider kit's errors.feature


WRONG = [(kind, asked) for kind in KINDS for asked in KINDS if asked != kind and (kind, asked) != ("integer", "float")]


@pytest.mark.parametrize(("kind", "asked"), WRONG)
def test_requesting_the_wrong_type_returns_the_code_default(client, kind, asked):
    default = DEFAULTS[asked]
    assert defaulted(details(client, asked, f"{kind}-flag", default), default, ErrorCode.TYPE_MISMATCH)
