"""Fuzzed flags and contexts, seeded: refused with a field, or served without ever an exception, each in bounded time.

A few thousand by `make test`, and a hundred thousand by `make soak`.
"""

import random
import time
from collections import Counter

import pytest

from flags.definitions import parse_definitions
from flags.documents import flag_document, flag_from_json, flag_json, parse_flag
from flags.evaluation import Kind, Reason
from flags.evaluator import Evaluator
from flags.explanation import explain
from flags.items import item_from_json, item_json
from flags.model import Revision, Snapshot
from flags.overrides import parse_overrides
from flags.references import check_references
from flags.segments import parse_segment
from flags.view import View
from foundation.documents import read_json, read_yaml, write_yaml
from foundation.errors import DocumentError
from tests import fuzzing

BOUND = 5.0
"""Seconds of this thread's own time that one case may take; hundreds of times what one does take."""

MOST_WORDS = 12_000
"""Characters of an error: one names the up to a hundred variants that would be right, of a hundred characters each."""


def tried(read):
    """Run a reader; answers with what it read, or None, and with its refusal, or None."""
    try:
        return read(), None
    except DocumentError as error:
        return None, error


def proper(error, root=""):
    """Tell whether a refusal names a field below `root`, in one line that anything can print."""
    words = str(error)
    words.encode()
    return error.field.startswith(root) and len(words) <= MOST_WORDS and "\n" not in words


def flag_of(rng):
    """Read one fuzzed flag; what is accepted must survive being stored."""
    key, document = fuzzing.flag_key(rng), fuzzing.document(rng)
    flag, error = tried(lambda: parse_flag(key, document))
    if error is not None:
        assert proper(error, "flags"), error
        return None
    assert parse_flag(key, flag_document(flag)) == flag
    assert flag_from_json(key, flag_json(flag)) == flag
    return flag


def segment_of(rng):
    document = fuzzing.segment(rng)
    segment, error = tried(lambda: parse_segment("beta", document))
    if error is not None:
        assert proper(error, "segments.beta"), error
        return None
    assert item_from_json("segment:beta", item_json(segment)) == segment
    return segment


def asked(view, snapshot, key, context):
    """Ask for a flag as every type, by value and with details; answers with the reasons."""
    evaluator = Evaluator(view)
    default = object()
    explained = explain(snapshot, key, context).detail
    for kind in Kind:
        detail = getattr(evaluator, f"get_{kind}_details")(key, default, context)
        value = getattr(evaluator, f"get_{kind}_value")(key, default, context)
        if detail.error_code is None:
            assert (detail.variant, detail.reason) == (explained.variant, explained.reason)
            assert value == detail.value
        else:
            assert (detail.reason, detail.variant) == (Reason.ERROR, None)
            assert value is detail.value is default
        yield detail.error_code or detail.reason


def fuzz(seed, cases):
    """Run so many cases; answers with how often each thing came of one, and the time of the slowest."""
    rng = random.Random(seed)
    flags, segments, seen, slowest = {}, {}, Counter(), 0.0
    for case in range(cases):
        began = time.thread_time()
        try:
            flag = flag_of(rng)
            segment = segment_of(rng) if case % 5 == 0 else None
            if segment is not None:
                segments = {"beta": segment}
            if flag is not None:
                flags = {**flags, flag.key: flag}
            seen["accepted" if flag else "refused"] += 1
            snapshot = Snapshot(Revision(1, case), flags, segments=segments)
            error = tried(lambda snapshot=snapshot: check_references(snapshot.items(), snapshot.items()))[1]
            assert error is None or proper(error, "flags.")
            key = flag.key if flag else rng.choice(fuzzing.KEYS)
            seen.update(asked(View(snapshot), snapshot, key, fuzzing.context(rng)))
        except Exception as error:
            error.add_note(f"case {case} of seed {seed}")
            raise
        took = time.thread_time() - began
        slowest = max(slowest, took)
        assert took < BOUND, f"case {case} of seed {seed} took {took:.1f} s"
    return seen, slowest


def told(seen):
    """Every way in which an evaluation may end was met, and neither refusals nor flags are few."""
    cases = seen["accepted"] + seen["refused"]
    assert min(seen["accepted"], seen["refused"]) > cases / 10
    assert all(seen[reason] for reason in Reason if reason is not Reason.ERROR)
    assert all(seen[code] for code in ("TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL", "TYPE_MISMATCH"))


def test_fuzzed_flags_are_refused_by_field_and_fuzzed_contexts_never_raise():
    told(fuzz(seed=1, cases=5_000)[0])


@pytest.mark.soak
def test_a_hundred_thousand_fuzzed_flags_and_contexts(record_property):
    began = time.monotonic()
    seen, slowest = fuzz(seed=2, cases=100_000)
    told(seen)
    print(f"{time.monotonic() - began:.0f} s, the slowest case {slowest * 1000:.0f} ms: {dict(seen)}")  # noqa: T201


# ---- files


YAML = write_yaml(
    {"flags": {"k": fuzzing.PLAIN, "full": fuzzing.FULL}, "segments": {"beta": {"if": fuzzing.RULES[0]["if"]}}}
)


@pytest.mark.parametrize("parse", [parse_definitions, parse_overrides])
def test_spoilt_files_are_refused_with_a_field_or_read_as_what_they_are(parse):
    rng = random.Random(3)
    yaml = YAML.encode()
    json = flag_json(parse_flag("k", fuzzing.FULL)).encode()
    overrides = b"useYamlMessaging: json\nb: {a: [1, null]}\n"
    refused = 0
    for _ in range(800):
        data = fuzzing.spoilt(rng.choice([yaml, overrides, b'{"flags": {"k": ' + json + b"}}"]), rng)
        for read in (read_yaml, read_json):
            began = time.thread_time()
            _, error = tried(lambda read=read, data=data: parse(read(data)))
            assert error is None or proper(error)
            refused += error is not None
            assert time.thread_time() - began < BOUND
    assert refused > 400
