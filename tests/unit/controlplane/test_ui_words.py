import pytest

from controlplane.shapes import STALE_WORDS
from controlplane.ui import words
from flags.operators import OPERATORS
from flags.staleness import StaleReason


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0 %"), (50, "50 %"), (12.345, "12.345 %"), (0.001, "0.001 %"), (100.0, "100 %")]
)
def test_a_percentage_is_said_exactly_and_without_needless_zeros(value, said):
    assert words.percent(value) == said


@pytest.mark.parametrize(("value", "said"), [(0, "0 %"), (0.0004, "0.0 %"), (0.496, "49.6 %"), (1, "100 %")])
def test_a_measured_share_keeps_a_decimal_unless_it_is_nothing_or_everything(value, said):
    assert words.share(value) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "just now"), (5, "5 s ago"), (59.9, "59 s ago"), (60, "1 min ago"), (7200, "2 h ago"), (86400, "1 day ago")],
)
def test_times_are_said_as_coarsely_as_people_say_them(seconds, said):
    assert words.ago(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0404, "40 ms"), (0.9999, "1.0 s"), (9.94, "9.9 s"), (9.95, "10 s"), (75, "1 min 15 s")]
)
def test_durations_are_fine_while_they_are_short(seconds, said):
    assert words.duration(seconds) == said


@pytest.mark.parametrize(("value", "said"), [(0.0, "\N{EN DASH}"), (0.314, "0.31"), (12.34, "12.3"), (1234.5, "1,234")])
def test_latencies_have_three_figures_and_a_dash_where_nothing_was_measured(value, said):
    assert words.milliseconds(value) == said


def test_names_are_cut_after_the_first_few():
    assert words.names([]) == ""
    assert words.names(["a"]) == "a"
    assert words.names(["a", "b", "c"]) == "a, b and c"
    assert words.names(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_of_a_revision_people_say_the_last_part():
    assert words.short("1700000000000000-42") == "42"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("in", "is not one of"),
        ("not_in", "is one of"),
        ("equals", "is not"),
        ("gt", "is not over"),
        ("starts_with", "does not start with"),
        ("matches", "does not match"),
        ("exists", "does not exist"),
    ],
)
def test_a_clause_that_is_turned_round_says_so(name, said):
    assert words.operator(name, True) == said


def test_every_reason_for_which_a_flag_is_stale_has_words():
    assert {str(reason) for reason in StaleReason} == set(STALE_WORDS)
    assert words.stale({"reason": "same_variant", "variant": "on"}) == "always the same variant: on"


def test_every_operator_that_a_rule_may_use_has_words():
    assert set(words.OPERATORS) == set(OPERATORS)
