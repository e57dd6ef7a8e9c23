import gzip
import random
import subprocess
import sys
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger.compression import COMPRESSED_ABOVE, beginning, compress, decompress, zstd
from messenger.errors import BodyTooLarge, CodecUnknown, DecodeFailed
from messenger.formats import GZIP, IDENTITY, ZSTD
from tests.json_values import LAW

MIB = 1_048_576
PACKERS = {GZIP: lambda body: gzip.compress(body, 9), ZSTD: lambda body: zstd.compress(body, 19)}
SUMMED = {GZIP: PACKERS[GZIP], ZSTD: lambda body: compress(ZSTD, body)[1]}

COMPRESSED = pytest.mark.parametrize("encoding", [GZIP, ZSTD])


def zstd_head(size):
    """Begin a zstd frame that says that it unpacks to so many bytes, all in one piece."""
    return b"\x28\xb5\x2f\xfd\xe0" + size.to_bytes(8, "little")


def stream(packer, mebibytes):
    """Pack zeros without saying beforehand how many."""
    return b"".join([packer.compress(bytes(MIB)) for _ in range(mebibytes)] + [packer.flush()])


def zstd_packer(window):
    return zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window})


@pytest.mark.parametrize("encoding", [IDENTITY, GZIP, ZSTD])
def test_a_body_comes_back_as_it_was(encoding):
    @LAW
    @given(st.binary(max_size=3_000) | st.binary(max_size=30).map(lambda part: part * 500))
    def law(body):
        written, packed = compress(encoding, body)
        assert decompress(written, packed, len(body)) == body

    law()


@COMPRESSED
def test_only_bodies_over_the_threshold_are_compressed(encoding):
    assert compress(encoding, b"x" * COMPRESSED_ABOVE) == (IDENTITY, b"x" * COMPRESSED_ABOVE)
    written, packed = compress(encoding, b"x" * (COMPRESSED_ABOVE + 1))
    assert written == encoding
    assert len(packed) < 100


@COMPRESSED
def test_the_same_body_is_always_compressed_to_the_same_bytes(encoding):
    assert compress(encoding, b"x" * 5000) == compress(encoding, b"x" * 5000)


@COMPRESSED
def test_whatever_another_writer_made_is_read(encoding):
    assert decompress(encoding, PACKERS[encoding](b"x" * 100), 100) == b"x" * 100


def test_zstd_is_read_whatever_its_level_and_whether_it_says_its_size():
    for body in (*(zstd.compress(bytes(MIB), level) for level in (-5, 1, 19, 22)), stream(zstd_packer(23), 1)):
        assert decompress(ZSTD, body, MIB) == bytes(MIB)


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [
        (GZIP, stream(zlib.compressobj(9, wbits=31), 200)),
        (ZSTD, stream(zstd_packer(20), 200)),
        (ZSTD, zstd.compress(bytes(50 * MIB))),
    ],
    ids=["gzip", "zstd", "zstd that says its size"],
)
def test_a_bomb_is_refused_long_before_it_has_unpacked(encoding, bomb):
    assert len(bomb) < MIB
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            decompress(encoding, bomb, MIB)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


def test_what_zstd_itself_takes_to_refuse_a_bomb_is_bounded_too():
    # tracemalloc does not see what the C library allocates, the whole process's peak does
    script = """
import resource, sys
from messenger.compression import beginning, decompress, compress
from messenger.errors import PoisonFrame
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
decompress(*compress("zstd", bytes(1_048_576)), 1_048_576)
before = peak()
for line in sys.stdin:
    try:
        decompress("zstd", bytes.fromhex(line), 1_048_576)
    except PoisonFrame as error:
        print(type(error).__name__)
print(peak() - before)
"""
    bombs = [
        stream(zstd_packer(23), 100),
        stream(zstd_packer(27), 100),
        zstd.compress(bytes(100 * MIB)),
        zstd_head(1 << 40) + b"\x01\0\0",
    ]
    told = subprocess.run(
        [sys.executable, "-c", script],
        input="\n".join(bomb.hex() for bomb in bombs),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert told[:4] == ["BodyTooLarge", "DecodeFailed", "BodyTooLarge", "DecodeFailed"]
    assert int(told[4]) < 32 * 1024


@pytest.mark.parametrize("body", [zstd_head(1 << 40) + b"\x01\0\0", stream(zstd_packer(24), 1)])
def test_zstd_that_asks_for_a_larger_window_than_any_reader_must_have_is_refused(body):
    with pytest.raises(DecodeFailed, match="too much memory"):
        decompress(ZSTD, body, MIB)


def test_zstd_that_needs_a_dictionary_is_refused():
    words = zstd.train_dict([b"settlement %d of a collection" % number * 5 for number in range(1000)], 1000)
    with pytest.raises(DecodeFailed, match="Dictionary"):
        decompress(ZSTD, zstd.compress(b"settlement 5 of a collection" * 50, zstd_dict=words), MIB)


@pytest.mark.parametrize("encoding", [IDENTITY, GZIP, ZSTD])
def test_the_limit_holds_to_the_byte(encoding):
    packed = PACKERS[encoding](bytes(1000)) if encoding in PACKERS else bytes(1000)
    assert decompress(encoding, packed, 1000) == bytes(1000)
    with pytest.raises(BodyTooLarge):
        decompress(encoding, packed, 999)


@COMPRESSED
@pytest.mark.parametrize("packers", [PACKERS, SUMMED])
def test_a_body_cut_short_anywhere_is_refused(encoding, packers):
    packed = packers[encoding](random.Random(1).randbytes(1500))
    for size in range(len(packed)):
        with pytest.raises(DecodeFailed):
            decompress(encoding, packed[:size], MIB)


@COMPRESSED
def test_a_body_with_something_behind_it_is_refused(encoding):
    for rest in (b"\0", PACKERS[encoding](b"more"), b"text", b"\x50\x2a\x4d\x18\0\0\0\0"):
        with pytest.raises(DecodeFailed):
            decompress(encoding, PACKERS[encoding](b"x") + rest, MIB)


@COMPRESSED
def test_a_body_that_was_changed_is_refused(encoding):
    body = bytearray(SUMMED[encoding](b"settlement " * 100))
    for place in range(10, len(body)):
        body[place] ^= 0xFF
        with pytest.raises((DecodeFailed, BodyTooLarge)):
            decompress(encoding, bytes(body), MIB)
        body[place] ^= 0xFF


@COMPRESSED
def test_the_beginning_of_a_body_is_shown_without_unpacking_the_rest(encoding):
    packed = PACKERS[encoding](b"settlement " * 100_000)
    assert beginning(encoding, packed, 20) == b"settlement settlemen"
    assert beginning(encoding, packed[: len(packed) // 2], 20) == b"settlement settlemen"
    with pytest.raises(DecodeFailed):
        beginning(encoding, b"not packed at all", 20)


@pytest.mark.parametrize("encoding", ["", "br", "GZIP", "Zstd", "deflate"])
def test_an_unknown_encoding_is_said_to_be_unknown(encoding):
    with pytest.raises(CodecUnknown):
        compress(encoding, b"x")
    with pytest.raises(CodecUnknown):
        decompress(encoding, b"x", MIB)
