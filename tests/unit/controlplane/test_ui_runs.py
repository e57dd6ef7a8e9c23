import pytest

from controlplane.ui.runs import outcome, steps
from rollout.record import STEPS


def event(step, status, elapsed, attempt=1, detail=""):
    return {"step": step, "status": status, "detail": detail, "elapsed": elapsed, "data": {"attempt": attempt}}


def test_before_anything_is_told_all_seven_steps_wait():
    assert [(step.name, step.tone, step.seconds) for step in steps([])] == [(name, "waiting", None) for name in STEPS]


def test_a_step_shows_its_last_word_and_the_time_since_the_one_before_it():
    told = [event("preflight", "done", 0.1), event("kill", "progress", 0.2), event("kill", "warn", 0.5, detail="late")]
    found = {step.name: step for step in steps(told)}
    assert (found["kill"].tone, found["kill"].detail) == ("caution", "late")
    assert found["kill"].seconds == pytest.approx(0.4)
    assert found["converge"].tone == "waiting"


def test_while_it_runs_the_first_step_that_has_told_nothing_is_at_work():
    told = [event("preflight", "done", 0.1), event("kill", "done", 0.2)]
    assert [step.tone for step in steps(told, running=True)[:4]] == ["clear", "clear", "running", "waiting"]
    assert [step.tone for step in steps(told)[:3]] == ["clear", "clear", "waiting"]
    told.append(event("converge", "progress", 0.3))
    assert [step.tone for step in steps(told, running=True)[:4]] == ["clear", "clear", "running", "waiting"]


def test_only_the_last_attempt_counts():
    told = [
        event("preflight", "done", 0.1),
        event("kill", "failed", 0.2),
        event("preflight", "progress", 0.1, attempt=2),
    ]
    assert [step.tone for step in steps(told)[:2]] == ["running", "waiting"]


@pytest.mark.parametrize(
    ("state", "code", "tone"),
    [("running", None, "running"), ("interrupted", None, "danger"), ("done", 0, "clear"), ("done", 1, "caution")],
)
def test_only_a_verified_rollback_gets_the_green_lamp(state, code, tone):
    assert outcome({"state": state, "exit": code})[0] == tone
