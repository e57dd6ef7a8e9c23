import gzip
import random
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger.compression import GZIP_ABOVE, compress, decompress
from messenger.errors import BodyTooLarge, CodecUnknown, DecodeFailed
from messenger.formats import GZIP, IDENTITY
from tests.json_values import LAW

MIB = 1_048_576


@pytest.mark.parametrize("encoding", [IDENTITY, GZIP])
def test_a_body_comes_back_as_it_was(encoding):
    @LAW
    @given(st.binary(max_size=3_000) | st.binary(max_size=30).map(lambda part: part * 500))
    def law(body):
        written, packed = compress(encoding, body)
        assert decompress(written, packed, len(body)) == body

    law()


def test_only_bodies_over_the_threshold_are_compressed():
    assert compress(GZIP, b"x" * GZIP_ABOVE) == (IDENTITY, b"x" * GZIP_ABOVE)
    written, packed = compress(GZIP, b"x" * (GZIP_ABOVE + 1))
    assert written == GZIP
    assert len(packed) < 100


def test_the_same_body_is_always_compressed_to_the_same_bytes():
    assert compress(GZIP, b"x" * 5000) == compress(GZIP, b"x" * 5000)


def test_any_gzip_is_read():
    assert decompress(GZIP, gzip.compress(b"x" * 100, 9), 100) == b"x" * 100


def test_a_bomb_is_refused_long_before_it_has_unpacked():
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([packer.compress(bytes(MIB)) for _ in range(200)] + [packer.flush()])
    assert len(bomb) < MIB
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            decompress(GZIP, bomb, MIB)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


def test_the_limit_holds_to_the_byte():
    packed = gzip.compress(bytes(1000))
    assert decompress(GZIP, packed, 1000) == bytes(1000)
    assert decompress(IDENTITY, bytes(1000), 1000) == bytes(1000)
    for encoding, body in ((GZIP, packed), (IDENTITY, bytes(1000))):
        with pytest.raises(BodyTooLarge):
            decompress(encoding, body, 999)


def test_a_body_cut_short_anywhere_is_refused():
    packed = gzip.compress(random.Random(1).randbytes(500))
    for size in range(len(packed)):
        with pytest.raises(DecodeFailed):
            decompress(GZIP, packed[:size], MIB)


def test_a_body_with_something_behind_it_is_refused():
    for rest in (b"\0", gzip.compress(b"more"), b"text"):
        with pytest.raises(DecodeFailed):
            decompress(GZIP, gzip.compress(b"x") + rest, MIB)


def test_a_body_that_was_changed_is_refused():
    packed = bytearray(gzip.compress(b"settlement " * 100))
    for place in range(10, len(packed)):
        packed[place] ^= 0xFF
        with pytest.raises(DecodeFailed):
            decompress(GZIP, bytes(packed), MIB)
        packed[place] ^= 0xFF


@pytest.mark.parametrize("encoding", ["", "zstd", "GZIP", "deflate"])
def test_an_unknown_encoding_is_said_to_be_unknown(encoding):
    with pytest.raises(CodecUnknown):
        compress(encoding, b"x")
    with pytest.raises(CodecUnknown):
        decompress(encoding, b"x", MIB)
