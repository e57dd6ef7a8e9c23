"""Server-sent events come out whole, in whatever pieces they came in, and none is larger than the bound."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.broadcast import RETRY, encode
from flags.sources.sse import Event, EventReader
from foundation.errors import DocumentError
from tests.flag_documents import LAW


def read(reader, pieces):
    return [event for piece in pieces for event in reader.feed(piece)]


SENT = RETRY + b": a comment\n\n" + encode("change", {"a": "b\nc"}, "1-2") + encode("heartbeat", {"revision": "1-2"})
MEANT = [Event("change", b'{"a":"b\\nc"}'), Event("heartbeat", b'{"revision":"1-2"}')]


@LAW
@given(st.lists(st.integers(0, len(SENT)), max_size=20), st.sampled_from([b"\n", b"\r\n"]))
def test_events_are_the_same_however_they_are_cut_into_pieces(cuts, ending):
    sent = SENT.replace(b"\n", ending)
    marks = sorted({0, *(min(cut, len(sent)) for cut in cuts), len(sent)})
    pieces = [sent[start:end] for start, end in pairwise(marks)]
    assert read(EventReader(1_000), pieces) == MEANT


def test_a_byte_at_a_time_is_enough():
    assert read(EventReader(1_000), [bytes((byte,)) for byte in SENT]) == MEANT


def test_lines_of_data_are_joined_and_a_space_is_taken_off_once():
    reader = EventReader(1_000)
    assert read(reader, [b"event:x\ndata: a\ndata:  b\ndata:\nid: 1\n\n"]) == [Event("x", b"a\n b\n")]


def test_what_carries_no_data_is_no_event():
    assert read(EventReader(1_000), [b"retry: 5\n\n:\n\nevent: x\n\n\n\n"]) == []


def test_an_event_past_the_bound_is_refused_before_it_is_whole():
    reader = EventReader(100)
    assert read(reader, [b"data: " + b"x" * 80 + b"\n\n"]) == [Event("", b"x" * 80)]
    with pytest.raises(DocumentError, match="larger than 100 bytes"):
        read(reader, [b"data: ", *[b"x" * 10] * 20])
