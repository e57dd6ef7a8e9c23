"""Files of flags that are broken, huge or hostile: one clear error, in bounded time and memory, and nothing changed."""

import time
import tracemalloc

import pytest

from flags import service
from flags.definitions import parse_flags
from flags.stores.memory import MemoryFlagStore
from foundation.clock import ManualClock
from foundation.documents import read_json, read_yaml
from foundation.errors import DocumentError

FLAG = 'enabled: true\n    variants: {on: 1, off: 0}\n    offVariant: "off"\n'
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

HOSTILE = {
    "nothing": (read_yaml, "", "is not an object"),
    "a list": (read_yaml, "- a\n", "is not an object"),
    "unknown variant": (read_yaml, f"flags:\n  k:\n    {FLAG}    onVariant: maybe\n", "is not one of the variants"),
    "101%": (read_yaml, f"flags:\n  k:\n    {FLAG}    rollout: {{percentage: 101}}\n", "is not a percentage"),
    "NaN%": (read_yaml, f"flags:\n  k:\n    {FLAG}    rollout: {{percentage: .nan}}\n", "not a JSON number"),
    "NaN% in JSON": (read_json, '{"flags": {"k": {"rollout": {"percentage": NaN}}}}', "not a JSON number"),
    "the same flag twice": (read_yaml, f"flags:\n  k:\n    {FLAG}  k:\n    {FLAG}", "appears twice"),
    "the same field twice": (read_yaml, f"flags:\n  k:\n    {FLAG}    enabled: false\n", "appears twice"),
    "the same flag twice in JSON": (read_json, '{"flags": {"k": {}, "k": {}}}', "appears twice"),
    "a tag": (read_yaml, "flags:\n  k: !!python/object/apply:os.system ['true']\n", "has a tag"),
    "a tag on a value": (read_yaml, f"flags:\n  k:\n    {FLAG}    description: !!str x\n", "has a tag"),
    "an alias bomb": (read_yaml, BOMB + f"flags:\n  k:\n    {FLAG}", "holds too many values"),
    "10 MB": (read_yaml, f"flags:\n  k:\n    {FLAG}    description: {'x' * 10_000_000}\n", "is too large"),
    "10 MB of JSON": (read_json, '{"flags": {"k": "' + "x" * 10_000_000 + '"}}', "is too large"),
    "depth 10,000": (read_yaml, "flags: " + "[" * 10_000, "is nested too deep"),
    "depth 10,000 in blocks": (
        read_yaml,
        "".join(" " * depth + "a:\n" for depth in range(1_000)),
        "is nested too deep",
    ),
    "depth 10,000 of JSON": (read_json, '{"flags": ' + "[" * 10_000 + "]" * 10_000 + "}", "is nested too deep"),
    "a number without end": (read_json, '{"flags": {"k": {"enabled": ' + "9" * 100_000 + "}}}", ""),
    "half a surrogate pair": (read_json, '{"flags": {"k": {"description": "\\ud800"}}}', "surrogate"),
    "many variants": (
        read_yaml,
        "flags:\n  k:\n    enabled: true\n    offVariant: v1\n    onVariant: v2\n    variants:\n"
        + "".join(f"      v{number}: 1\n" for number in range(20_000)),
        "has 20,000 entries",
    ),
    "many unknown fields": (
        read_json,
        '{"flags": {"k": {' + ", ".join(f'"{"x" * 50}{number}": 1' for number in range(10_000)) + "}}}",
        "is not a known field",
    ),
}


@pytest.mark.parametrize(("read", "text", "problem"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_with_one_clear_error_in_bounded_time_and_memory(read, text, problem):
    store = MemoryFlagStore("demo", ManualClock())
    started = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError) as refused:
            service.apply(store, parse_flags(read(text)), actor="mallory")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert problem in str(refused.value)
    assert len(str(refused.value)) < 1_000
    assert "\n" not in str(refused.value)
    assert time.process_time() - started < 5
    assert peak < 200_000_000
    assert store.snapshot().flags == {}


def test_a_large_honest_file_is_taken():
    flags = "".join(f"  flag-{number}:\n    {FLAG}" for number in range(2_000))
    assert len(parse_flags(read_yaml(f"flags:\n{flags}"))) == 2_000
