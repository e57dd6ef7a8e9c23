import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messenger import codecs
from messenger.codecs import MAX_DEPTH, decode
from messenger.envelope import Envelope
from messenger.errors import BodyTooLarge, CodecUnknown, DecodeFailed, EncodeFailed, EnvelopeInvalid, PoisonFrame
from messenger.formats import ADAPTIVE, GZIP, IDENTITY, JSON, YAML, ZSTD, Format
from messenger.frame import Frame
from messenger.packing import (
    MAX_MESSAGE_BYTES,
    MAX_MESSAGES,
    BrokenMessage,
    cut_out,
    documents,
    draft,
    pack,
    recode,
    unpack,
)
from tests.json_values import ENVELOPES, LAW, message, same

EVERY_FORMAT = [
    Format(content_type, compression, ADAPTIVE, "7-1")
    for content_type in (JSON, YAML)
    for compression in (IDENTITY, GZIP, ZSTD)
]
EACH = pytest.mark.parametrize("written", EVERY_FORMAT, ids=lambda one: f"{one.content_type[12:]}-{one.compression}")


def packed(messages, written=EVERY_FORMAT[0]):
    return pack(messages, written, frame_id="frm_1", sender="balance-1")


def framed(body, count=1, content_type=JSON, encoding=IDENTITY):
    return Frame("frm_1", content_type, encoding, count, "7-1", body, "balance-1")


@EACH
def test_messages_come_out_of_a_frame_as_they_went_in(written):
    @settings(LAW, max_examples=50)
    @given(st.lists(ENVELOPES, min_size=1, max_size=3))
    def law(messages):
        frame = packed(messages, written)
        assert same(unpack(frame), messages)
        assert frame.count == len(messages)

    law()


@EACH
def test_a_frame_says_how_it_is_written(written):
    frame = packed([message(number) for number in range(10)], written)
    assert frame == Frame("frm_1", written.content_type, written.compression, 10, "7-1", frame.body, "balance-1")
    assert packed([message()], written).content_encoding == IDENTITY


def test_one_message_stands_alone_and_several_in_the_seeds_batch():
    assert decode(JSON, packed([message(1)]).body) == message(1).to_document()
    later = message(2, timestamp="2025-01-26T15:30:09Z")
    assert decode(JSON, packed([message(1), later]).body) == {
        "type": "MESSAGE_BATCH",
        "messages": [message(1).to_document(), later.to_document()],
        "timestamp": "2025-01-26T15:30:09Z",
        "batchId": "frm_1",
    }


@EACH
def test_a_broken_message_leaves_the_others_of_its_batch_alone(written):
    good = [message(number).to_document() for number in range(4)]
    good[1] = {**good[1], "metadata": {**good[1]["metadata"], "priority": "urgent"}}
    good[2] = "not a message"
    batch = {"type": "MESSAGE_BATCH", "messages": good, "timestamp": "2025-01-26T15:30:00Z", "batchId": "frm_1"}
    first, second, third, fourth = unpack(framed(codecs.encode(written.content_type, batch), 4, written.content_type))
    assert (first, fourth) == (message(0), message(3))
    assert (second.index, second.reason, second.document, second.message_id) == (1, "invalid", good[1], "msg_1")
    assert "metadata.priority" in second.detail
    assert third == BrokenMessage(2, "invalid", "message: must be an object", "not a message")
    assert third.message_id == ""


@pytest.mark.parametrize("document", [None, 5, "text", [], {}, {"type": 5}, [1, 2]])
def test_whatever_else_stands_in_a_frame_is_one_broken_message(document):
    (broken,) = unpack(framed(codecs.encode(JSON, document)))
    assert isinstance(broken, BrokenMessage)
    assert broken.document == document


def batch_of(messages, /, **changes):
    batch = {"type": "MESSAGE_BATCH", "messages": messages, "timestamp": "2025-01-26T15:30:00Z", "batchId": "frm_1"}
    return codecs.encode(JSON, {**batch, **changes})


@pytest.mark.parametrize(
    ("count", "body"),
    [
        (2, batch_of([{}])),
        (2, batch_of([{}, {}, {}])),
        (3, codecs.encode(JSON, {})),
        (1, batch_of([])),
        (1, batch_of([{}], messages=None)),
        (1, batch_of([{}], messages={"a": 1})),
        (0, codecs.encode(JSON, {})),
        (-1, codecs.encode(JSON, {})),
        (MAX_MESSAGES + 1, batch_of([{}] * (MAX_MESSAGES + 1))),
    ],
)
def test_a_frame_that_does_not_hold_what_its_header_says_is_poison(count, body):
    with pytest.raises(PoisonFrame):
        unpack(framed(body, count))


def test_a_batch_of_one_is_taken():
    assert unpack(framed(batch_of([message(1).to_document()]))) == [message(1)]


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (framed(b"{", content_type=JSON), DecodeFailed),
        (framed(b"a: [", content_type=YAML), DecodeFailed),
        (framed(b"", content_type=JSON), DecodeFailed),
        (framed(b"{}", content_type="application/cbor"), CodecUnknown),
        (framed(b"{}", encoding="brotli"), CodecUnknown),
        (framed(b"{}", encoding=GZIP), DecodeFailed),
        (framed(b"{}", encoding=ZSTD), DecodeFailed),
        (framed(b" " * (codecs.MAX_BODY_BYTES + 1)), BodyTooLarge),
        (framed(b"[" * 60_000), DecodeFailed),
        (framed(b"[" * 60_000, content_type=YAML), DecodeFailed),
    ],
)
def test_a_frame_that_can_not_be_read_says_why(frame, error):
    with pytest.raises(error):
        unpack(frame)


@EACH
def test_a_frame_cut_short_anywhere_is_poison(written):
    messages = [message(number) for number in range(3)]
    frame = packed(messages, written)
    for size in range(len(frame.body) - 1):
        with pytest.raises(PoisonFrame):
            unpack(replace(frame, body=frame.body[:size]))


@EACH
def test_frames_of_noise_are_poison_or_hold_messages_and_nothing_else_happens(written):
    rng = random.Random(7)
    frame = packed([message(number) for number in range(4)], written)
    for _ in range(2_500):
        body = bytearray(frame.body)
        for _ in range(rng.choice([1, 1, 2, 8])):
            place = rng.randrange(len(body))
            body[place : place + rng.choice([0, 1, 3])] = rng.choice(
                [b"", b"\0", b"\n", b" ", b'"', b"\xff", rng.randbytes(4)]
            )
        try:
            found = unpack(replace(frame, body=bytes(body), count=rng.choice([4, 4, 4, 1])))
        except PoisonFrame:
            continue
        assert all(isinstance(one, Envelope | BrokenMessage) for one in found)


def test_noise_without_form_is_poison():
    rng = random.Random(8)
    for content_type in (JSON, YAML):
        for encoding in (IDENTITY, GZIP, ZSTD):
            for _ in range(500):
                try:
                    (found,) = unpack(framed(rng.randbytes(rng.randrange(40)), 1, content_type, encoding))
                except PoisonFrame:
                    continue
                assert isinstance(found, BrokenMessage)


# ---- tools over frames


@EACH
def test_a_message_cut_out_of_a_batch_is_a_frame_of_its_own(written):
    frame = packed([message(number) for number in range(20)], written)
    alone = cut_out(frame, 7, message(7).to_document())
    assert unpack(alone) == [message(7)]
    assert (alone.id, alone.count, alone.content_type) == ("frm_1.7", 1, written.content_type)
    assert (alone.revision, alone.sender, alone.content_encoding) == ("7-1", "balance-1", IDENTITY)


def test_a_frame_of_one_message_is_cut_out_as_it_stands():
    frame = packed([message(1)])
    assert cut_out(frame, 0, {}) is frame


@EACH
@pytest.mark.parametrize("target", [JSON, YAML])
def test_a_frame_is_rewritten_in_another_codec_with_every_message_as_it_was(written, target):
    frame = packed([message(number) for number in range(20)], written)
    anew = recode(frame, target)
    assert unpack(anew) == unpack(frame)
    assert documents(anew) == documents(frame)
    assert replace(anew, body=b"", content_type="", content_encoding="") == replace(
        frame, body=b"", content_type="", content_encoding=""
    )
    assert (anew.content_type, anew.content_encoding) == (target, IDENTITY)


def test_a_frame_is_rewritten_even_where_its_messages_are_broken():
    frame = framed(codecs.encode(YAML, {"type": "X", "n": 2**70}), content_type=YAML)
    assert decode(JSON, recode(frame, JSON).body) == {"type": "X", "n": 2**70}


# ---- drafts


def test_a_draft_is_the_message_as_json():
    assert draft(message(1)) == packed([message(1)]).body


def test_a_frame_made_of_drafts_is_the_frame_that_is_made_of_messages():
    for count in (1, 2, 100):
        messages = [message(number) for number in range(count)]
        drafts = [draft(one) for one in messages]
        for written in EVERY_FORMAT:
            assert pack(messages, written, frame_id="frm_1", sender="balance-1", drafts=drafts) == packed(
                messages, written
            )


def test_what_could_not_be_sent_is_refused_when_it_is_drafted():
    with pytest.raises(EncodeFailed, match=r"payload\.when"):
        draft(message(payload={"when": object()}))
    with pytest.raises(BodyTooLarge):
        draft(message(payload={"text": "x" * MAX_MESSAGE_BYTES}))


def test_a_batch_of_drafts_keeps_to_the_cap():
    large = message(payload={"text": "x" * (MAX_MESSAGE_BYTES - 1000)})
    with pytest.raises(BodyTooLarge):
        pack([large] * 5, EVERY_FORMAT[0], frame_id="frm_1", sender="", drafts=[draft(large)] * 5)


def test_what_was_drafted_can_be_packed_in_any_batch():
    deep = []
    for _ in range(MAX_DEPTH - 5):
        deep = [deep]
    assert draft(message(payload={"deep": deep}))
    for written in EVERY_FORMAT:
        frame = packed([message(1, payload={"deep": deep}), message(2)], written)
        assert unpack(frame)[0].payload == {"deep": deep}
    with pytest.raises(EncodeFailed):
        draft(message(payload={"deep": [deep]}))


def test_no_message_may_pass_for_a_batch():
    with pytest.raises(EnvelopeInvalid):
        Envelope.from_document(message(type="MESSAGE_BATCH").to_document())
