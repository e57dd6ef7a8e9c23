import pytest
from hypothesis import given

from foundation.documents import read_yaml
from messenger.envelope import Envelope, Metadata, is_domain, is_timestamp, timestamp
from messenger.errors import EnvelopeInvalid
from tests.json_values import ENVELOPES, LAW, message


def document(**changes):
    fields = message(1).to_document() | changes
    return {name: value for name, value in fields.items() if value is not ...}


def metadata(**changes):
    return document(metadata=document()["metadata"] | changes)


def refusal(fields):
    with pytest.raises(EnvelopeInvalid) as caught:
        Envelope.from_document(fields)
    return caught.value


def test_a_message_is_the_same_after_the_wire():
    @LAW
    @given(ENVELOPES)
    def law(envelope):
        assert Envelope.from_document(envelope.to_document()) == envelope

    law()


def test_the_wire_has_the_names_of_the_design():
    assert message(1).to_document() == {
        "type": "SETTLEMENT_NOTED",
        "version": "1.0",
        "messageId": "msg_1",
        "correlationId": "corr_1",
        "timestamp": "2025-01-26T15:30:00Z",
        "payload": {"settlementId": "PEN_1", "amount": 167.67, "status": "completed"},
        "metadata": {"sourceDomain": "collections", "targetDomain": "balance", "priority": "high", "ttl": 300_000},
    }


@pytest.mark.parametrize("field", ["type", "version", "messageId", "correlationId", "timestamp", "payload", "metadata"])
def test_what_is_missing_is_named(field):
    assert str(refusal(document(**{field: ...}))) == f"{field}: is missing"
    assert refusal(document(**{field: ...})).field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("type", value) for value in ("", 5, "x" * 201, "a\nb", ["x"], "MESSAGE_BATCH")),
        *(("version", value) for value in ("2.0", 2, "1.", "", True, [], "1.0.0", "1.0001", "1.\u0663")),
        *(("messageId", value) for value in ("", 5, "x" * 201, "a\tb", {})),
        *(("correlationId", value) for value in ("", False, "\u2028")),
        *(("timestamp", value) for value in ("", 5, "yesterday", "2025-01-26", "2025-02-30T00:00:00Z")),
        *(("payload", value) for value in ("", 5, [], "x")),
        *(("metadata", value) for value in ("", 5, [])),
    ],
)
def test_what_is_wrong_is_named(field, value):
    assert refusal(document(**{field: value})).field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("sourceDomain", value) for value in (..., "", 5, "a b", "a/b", "{a}", "x" * 101, "x" * 10**6, "-a", "é")),
        *(("targetDomain", value) for value in (..., None, "a:b")),
        *(("priority", value) for value in (None, "urgent", 1, ["high"])),
        *(("ttl", value) for value in (0, -1, 1.5, "5", True)),
    ],
)
def test_what_is_wrong_in_the_metadata_is_named(field, value):
    fields = metadata(**{field: value})
    if value is ...:
        del fields["metadata"][field]
    assert refusal(fields).field == f"metadata.{field}"


@pytest.mark.parametrize("nothing", [None, 5, "text", [], [1]])
def test_what_is_no_object_is_refused_at_its_root(nothing):
    assert refusal(nothing).field == ""


def test_a_message_without_ttl_never_expires_and_without_priority_is_normal():
    fields = metadata()
    del fields["metadata"]["ttl"], fields["metadata"]["priority"]
    assert Envelope.from_document(fields).metadata == Metadata("collections", "balance", "normal", None)


@pytest.mark.parametrize(
    ("version", "read"), [("1.0", "1.0"), (1.0, "1.0"), (1, "1.0"), ("1.7", "1.7"), (1.25, "1.25")]
)
def test_every_version_1_is_taken_with_fields_that_are_not_known(version, read):
    assert Envelope.from_document(document(version=version, surprise=1)).version == read


def test_a_message_as_the_seed_writes_it_is_taken_once_it_has_an_id():
    by_hand = read_yaml("""
type: SETTLEMENT_UPDATE
version: 1.0
correlationId: corr_1234567890
timestamp: 2025-01-26T15:30:00Z

payload:
  settlement:
    id: PEN_001
    amount: 166.67
  metadata:
    sourceDomain: collections
    targetDomain: balance
    priority: high
    ttl: 300000
""")
    assert refusal(by_hand).field == "messageId"
    assert Envelope.from_document(by_hand, message_id="msg_1") == Envelope(
        type="SETTLEMENT_UPDATE",
        message_id="msg_1",
        correlation_id="corr_1234567890",
        timestamp="2025-01-26T15:30:00Z",
        payload={"settlement": {"id": "PEN_001", "amount": 166.67}},
        metadata=Metadata("collections", "balance", "high", 300_000),
    )
    assert "metadata" in by_hand["payload"]


def test_metadata_of_the_payloads_own_stays_in_the_payload():
    payload = {"settlementId": "PEN_001", "metadata": {"processedBy": "Agent Smith"}}
    assert Envelope.from_document(document(payload=payload)).payload == payload
    assert refusal(document(payload=payload, metadata=...)).field == "metadata"


def test_a_time_is_written_in_utc_to_the_millisecond():
    assert timestamp(1737905400) == "2025-01-26T15:30:00.000Z"
    assert timestamp(1737905400.1239) == "2025-01-26T15:30:00.123Z"
    assert is_timestamp(timestamp(0))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        *((text, True) for text in ("2025-01-26T15:30:00Z", "2024-02-29T23:59:59.123456789+05:30")),
        *(
            (text, False)
            for text in ("2025-01-26 15:30:00Z", "2025-01-26T15:30:00", "2025-01-26T15:30Z", "20250126T153000Z")
        ),
        *((text, False) for text in ("2025-02-29T00:00:00Z", "2025-01-26T24:30:00Z", "2025-01-26T15:30:60Z", "")),
        *(
            (text, False)
            for text in ("2025-01-26T15:30:00+0100", "2025-01-26T15:30:00Z\n", "\uff12025-01-26T15:30:00Z")
        ),
    ],
)
def test_a_timestamp_is_rfc_3339_of_a_day_that_exists(text, is_one):
    assert is_timestamp(text) is is_one


def test_domains_are_safe_to_be_a_part_of_a_key():
    assert all(is_domain(name) for name in ("collections", "free-play", "a", "A.b_c-9", "x" * 100))
    assert not any(is_domain(name) for name in ("", "a}", "a\n", "a b", ".a", "x" * 101))
