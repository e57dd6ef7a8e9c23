from dataclasses import replace

import pytest

from controlplane.shapes import flag_shape, letter_shape, percentages_shape, summary
from flags.documents import parse_flag
from flags.edits import archive, disable, kill, release, set_percentage
from flags.model import Hold, Revision, Rollout
from messenger.compression import compress
from messenger.frame import Frame
from messenger.queue import DeadLetter

FLAG = parse_flag("a", {"enabled": True, "rolloutPercentage": 0, "fallback": "json"})
HELD = kill(FLAG, Hold("x", "y"))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, FLAG, "created"),
        (FLAG, FLAG, "written again, unchanged"),
        (FLAG, disable(FLAG), "disabled"),
        (FLAG, HELD, "disabled, put on hold"),
        (HELD, release(HELD), "released"),
        (FLAG, archive(FLAG), "disabled, archived"),
        (FLAG, set_percentage(FLAG, 12_345), "default 0% → 12.345%"),
        (FLAG, set_percentage(FLAG, 50_000, "balance"), "balance as default → 50%"),
        (set_percentage(FLAG, 50_000, "balance"), FLAG, "balance 50% → as default"),
    ],
)
def test_a_write_is_said_in_a_line(before, after, said):
    assert summary(before, after) == said


def test_every_field_of_a_flag_is_in_place_even_at_its_default():
    shape = flag_shape(FLAG, Revision(1, 2), None)
    assert (shape["hold"], shape["archived"], shape["rules"], shape["tags"], shape["description"]) == (
        None,
        False,
        [],
        [],
        "",
    )
    assert (shape["version"], shape["onVariant"], shape["changed"]) == ("1-2", "on", None)


def test_a_flag_without_a_rollout_serves_everybody():
    assert percentages_shape(replace(FLAG, rollout=None)) == {"default": 100, "domains": {}}
    assert percentages_shape(replace(FLAG, rollout=Rollout(500, {"b": 1, "a": 100_000}))) == {
        "default": 0.5,
        "domains": {"a": 100, "b": 0.001},
    }


def test_of_a_split_the_default_percentage_is_the_on_variants_part():
    split = Rollout(0, {"a": 5_000}, (("on", 20_000), ("off", 70_000), ("on", 10_000)))
    assert percentages_shape(replace(FLAG, rollout=split)) == {"default": 30, "domains": {"a": 5}}


@pytest.mark.parametrize(
    ("encoding", "sent", "body"),
    [
        ("identity", b"\xff{}", "\ufffd{}"),
        ("gzip", b"\xff{}", None),
        ("zstd", b"\xff{}", None),
        ("brotli", b"\xff{}", None),
        *((encoding, compress(encoding, b"a: 1\n" * 1_000)[1], "a: 1\n" * 800) for encoding in ("gzip", "zstd")),
    ],
)
def test_a_letter_shows_the_beginning_of_its_body_where_it_can_be_unpacked(encoding, sent, body):
    frame = Frame("f", "application/yaml", encoding, 1, "0-0", sent)
    assert letter_shape(DeadLetter("m", frame, "high", "poison", "", 1, 0.0))["body"] == body
