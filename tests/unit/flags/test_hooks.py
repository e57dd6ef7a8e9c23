"""Hooks: OpenFeature's stages, their order, what they are told, and that none of them can break an evaluation."""

import pytest

from flags.client import FlagClient
from flags.errors import EvaluationFailed
from flags.evaluation import ErrorCode, Kind, Reason
from flags.hooks import Hook, with_hooks
from tests.flag_sources import PuppetSource, flag, snapshot

GOLD = [{"if": [{"attribute": "plan", "operator": "equals", "values": ["gold"]}], "serve": "on"}]


class Recorder(Hook):
    """Writes down each stage it is called for, and raises or adds context where it is told to."""

    def __init__(self, log, name="", adds=None, raises=()):
        self.log, self.name, self.adds, self.raises = log, name, adds, raises
        self.contexts, self.hints = [], []

    def noted(self, stage, hook_context, hints, told=None):
        self.log.append((self.name, stage, told))
        self.contexts.append(hook_context)
        self.hints.append(hints)
        if stage in self.raises:
            raise RuntimeError(f"{stage} of {self.name}")

    def before(self, hook_context, hints):
        self.noted("before", hook_context, hints)
        return self.adds

    def after(self, hook_context, details, hints):
        self.noted("after", hook_context, hints, details)

    def error(self, hook_context, exception, hints):
        self.noted("error", hook_context, hints, exception)

    def finally_after(self, hook_context, details, hints):
        self.noted("finally", hook_context, hints, details)


@pytest.fixture
def client():
    flags = [
        flag("text", on="yaml"),
        flag("ruled", on="yaml", rules=GOLD, rollout={"percentage": 0}),
        flag("truth", variants={"on": True, "off": False}),
        flag("whole", variants={"on": 3, "off": 1}),
        flag("real", variants={"on": 0.5, "off": 0.25}),
        flag("thing", variants={"on": {"a": 1}, "off": {}}),
    ]
    with FlagClient(PuppetSource(snapshot(*flags))) as client:
        yield client


@pytest.fixture
def log():
    return []


def stages(log):
    return [(name, stage) for name, stage, _ in log]


@pytest.mark.parametrize(
    ("kind", "key", "default", "value"),
    [
        (Kind.BOOLEAN, "truth", False, True),
        (Kind.STRING, "text", "json", "yaml"),
        (Kind.INTEGER, "whole", 0, 3),
        (Kind.FLOAT, "real", 0.0, 0.5),
        (Kind.OBJECT, "thing", {}, {"a": 1}),
    ],
)
def test_every_type_is_evaluated_as_without_hooks_and_hooks_see_it(client, log, kind, key, default, value):
    hook = Recorder(log)
    hooked = with_hooks(client, [hook])
    details = getattr(hooked, f"get_{kind}_details")(key, default, {"targetingKey": "k"})
    assert details == getattr(client, f"get_{kind}_details")(key, default, {"targetingKey": "k"})
    assert getattr(hooked, f"get_{kind}_value")(key, default) == value
    assert [stage for _, stage in stages(log)] == ["before", "after", "finally"] * 2
    assert log[1][2] is log[2][2] is details
    told = hook.contexts[0]
    assert (told.flag_key, told.flag_type, told.default_value) == (key, kind, default)
    assert dict(told.evaluation_context) == {"targetingKey": "k"}


def test_before_runs_in_order_and_everything_else_in_reverse(client, log):
    with_hooks(client, [Recorder(log, "a"), Recorder(log, "b")]).get_string_value("text", "json")
    with_hooks(client, [Recorder(log, "c"), Recorder(log, "d")]).get_string_value("missing", "json")
    assert stages(log) == [
        *[("a", "before"), ("b", "before"), ("b", "after"), ("a", "after"), ("b", "finally"), ("a", "finally")],
        *[("c", "before"), ("d", "before"), ("d", "error"), ("c", "error"), ("d", "finally"), ("c", "finally")],
    ]


def test_what_before_returns_is_laid_over_the_context_and_shown_to_those_after_it(client, log):
    first, second = Recorder(log, "a", adds={"plan": "gold"}), Recorder(log, "b", adds={"region": "north"})
    context = {"plan": "bronze", "targetingKey": "k"}
    detail = with_hooks(client, [first, second]).get_string_details("ruled", "json", context)
    assert (detail.value, detail.reason) == ("yaml", Reason.TARGETING_MATCH)
    assert context == {"plan": "bronze", "targetingKey": "k"}
    seen = [dict(told.evaluation_context) for told in second.contexts]
    everything = {"plan": "gold", "targetingKey": "k", "region": "north"}
    assert seen == [{"plan": "gold", "targetingKey": "k"}, everything, everything]
    assert dict(first.contexts[-1].evaluation_context) == everything
    assert with_hooks(client, [first]).get_string_value("ruled", "json") == "yaml"  # with no context at all


def test_a_failed_evaluation_is_told_to_error_hooks_and_gives_the_default(client, log):
    detail = with_hooks(client, [Recorder(log)]).get_integer_details("text", 7)
    assert (detail.value, detail.error_code) == (7, ErrorCode.TYPE_MISMATCH)
    told = next(told for _, stage, told in log if stage == "error")
    assert isinstance(told, EvaluationFailed)
    assert (told.key, told.error_code) == ("text", ErrorCode.TYPE_MISMATCH)
    assert "TYPE_MISMATCH" in str(told)
    assert log[-1][2] == detail


@pytest.mark.parametrize("stage", ["before", "after"])
def test_a_hook_that_raises_before_or_after_gives_the_default_and_is_told_to_all(client, log, stage):
    hooks = [Recorder(log, "a"), Recorder(log, "b", raises={stage}), Recorder(log, "c")]
    detail = with_hooks(client, hooks).get_string_details("text", "json")
    assert (detail.value, detail.variant, detail.reason) == ("json", None, Reason.ERROR)
    assert (detail.error_code, detail.error_message) == (
        ErrorCode.GENERAL,
        f"a hook failed: RuntimeError: {stage} of b",
    )
    ran = [name for name, said, _ in log if said == stage]
    assert ran == (["a", "b"] if stage == "before" else ["c", "b"])  # those behind it are not called
    for later in ("error", "finally"):
        assert [name for name, said, _ in log if said == later] == ["c", "b", "a"]
    assert [told for _, said, told in log if said == "finally"] == [detail] * 3


def test_error_and_finally_stages_that_raise_are_logged_and_keep_nobody_else_from_running(client, log, caplog):
    hooks = [Recorder(log, "a"), Recorder(log, "b", raises={"error", "finally"})]
    assert with_hooks(client, hooks).get_string_value("missing", "json") == "json"
    assert stages(log)[2:] == [("b", "error"), ("a", "error"), ("b", "finally"), ("a", "finally")]
    assert "the error stage of a hook failed" in caplog.text
    assert "the finally stage of a hook failed" in caplog.text


def test_each_hook_keeps_notes_of_its_own_through_one_evaluation(client, log):
    class Noting(Recorder):
        def before(self, hook_context, hints):
            assert hook_context.hook_data == {}
            hook_context.hook_data["by"] = self.name

        def finally_after(self, hook_context, details, hints):
            log.append((self.name, "finally", hook_context.hook_data["by"]))

    hooked = with_hooks(client, [Noting([], "a"), Noting([], "b")])
    hooked.get_string_value("text", "json")
    hooked.get_string_value("text", "json")
    assert log == [("b", "finally", "b"), ("a", "finally", "a")] * 2


def test_hooks_change_neither_what_they_are_told_nor_the_hints(client, log):
    hook = Recorder(log)
    with_hooks(client, [hook], {"purpose": "test"}).get_string_value("text", "json", {"plan": "gold"})
    assert [dict(hints) for hints in hook.hints] == [{"purpose": "test"}] * 3
    with pytest.raises(TypeError):
        hook.hints[0]["purpose"] = "other"
    with pytest.raises(TypeError):
        hook.contexts[0].evaluation_context["plan"] = "bronze"
    with pytest.raises(AttributeError):
        hook.contexts[0].flag_key = "other"


@pytest.mark.parametrize("adds", [None, {"plan": "gold"}])
def test_a_context_that_is_none_is_complained_of_as_without_hooks(client, log, adds):
    detail = with_hooks(client, [Recorder(log, adds=adds)]).get_string_details("ruled", "json", 5)
    assert (detail.value, detail.error_code) == ("json", ErrorCode.INVALID_CONTEXT)


def test_the_client_itself_is_left_without_hooks(client, log):
    with_hooks(client, [Recorder(log)])
    assert client.get_string_value("text", "json") == "yaml"
    assert log == []


def test_a_hook_may_leave_out_every_stage(client):
    assert with_hooks(client, [Hook()]).get_string_value("text", "json") == "yaml"
    assert with_hooks(client, []).get_string_value("missing", "json") == "json"
