import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from foundation.documents import read_yaml
from messenger.envelope import Envelope
from messenger.errors import EnvelopeInvalid
from messenger.templates import templates, validate
from messenger.templates.checks import compile_check, is_date
from messenger.templates.verdict import judge
from tests.json_values import LAW, SCALARS, message

EACH = pytest.mark.parametrize("template", templates().values(), ids=lambda one: f"{one.domain}-{one.type}")


def example(name, **changes):
    envelope = Envelope.from_document(read_yaml(templates()[name].example))
    payload = {key: value for key, value in {**envelope.payload, **changes}.items() if value is not ...}
    return replace(envelope, payload=payload)


def refusal(envelope):
    with pytest.raises(EnvelopeInvalid) as caught:
        validate(envelope)
    return caught.value


def test_every_message_that_the_seed_names_has_a_template_in_its_domain():
    found = {}
    for template in templates().values():
        found.setdefault(template.domain, set()).add(template.type)
    assert found == {
        "collections": {"SETTLEMENT_UPDATE", "SETTLEMENT_PROCESSED", "SETTLEMENT_FAILED"},
        "distributions": {"COMMISSION_CALCULATED", "DISTRIBUTION_PROCESSED", "PARTNER_NOTIFICATION"},
        "free-play": {"BONUS_ISSUED", "BONUS_REDEEMED", "CAMPAIGN_PERFORMANCE"},
        "balance": {"BALANCE_UPDATED", "TRANSACTION_PROCESSED", "SECURITY_ALERT"},
        "adjustment": {"ADJUSTMENT_REQUESTED", "ADJUSTMENT_APPLIED"},
        "notifications": {"NOTIFICATION_REQUESTED", "NOTIFICATION_SENT"},
        "shared": {"DOMAIN_EVENT"},
    }


@EACH
def test_a_schema_is_one_of_draft_2020_12_and_says_what_it_is_for(template):
    Draft202012Validator.check_schema(template.schema)
    assert template.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert template.schema["title"] == template.type
    assert template.schema["description"].endswith(".")


@EACH
def test_an_example_is_a_message_of_its_type_that_passes_fast_and_slow(template):
    envelope = example(template.type)
    assert envelope.type == template.type
    assert template.domain in {envelope.metadata.source_domain, "shared", "notifications"}
    validate(envelope)
    judge(template.type, envelope.payload)
    assert compile_check(template.schema)(envelope.payload)


@EACH
def test_a_message_without_a_required_field_is_refused_by_name(template):
    for name in template.schema.get("required", ()):
        assert str(refusal(example(template.type, **{name: ...}))) == f"payload.{name}: is missing"


@pytest.mark.parametrize(
    ("name", "changes", "field"),
    [
        ("BONUS_ISSUED", {"amount": "500"}, "payload.amount"),
        ("BONUS_ISSUED", {"amount": 0}, "payload.amount"),
        ("BONUS_ISSUED", {"amount": True}, "payload.amount"),
        ("BONUS_ISSUED", {"expiresAt": "tomorrow"}, "payload.expiresAt"),
        ("BONUS_ISSUED", {"expiresAt": "2025-02-30T00:00:00Z"}, "payload.expiresAt"),
        ("BONUS_ISSUED", {"transactionId": ""}, "payload.transactionId"),
        ("BONUS_ISSUED", {"transactionId": "x" * 201}, "payload.transactionId"),
        ("BONUS_REDEEMED", {"status": "lost"}, "payload.status"),
        ("COMMISSION_CALCULATED", {"period": "2025-13"}, "payload.period"),
        ("COMMISSION_CALCULATED", {"commissionRate": 100.01}, "payload.commissionRate"),
        ("COMMISSION_CALCULATED", {"paymentSchedule": {}}, "payload.paymentSchedule.scheduledDate"),
        (
            "COMMISSION_CALCULATED",
            {"paymentSchedule": {"scheduledDate": "soon"}},
            "payload.paymentSchedule.scheduledDate",
        ),
        ("SECURITY_ALERT", {"transactionIds": ["TXN_001", 5]}, "payload.transactionIds[1]"),
        ("SETTLEMENT_UPDATE", {"settlement": {"id": "PEN_001"}}, "payload.settlement.customerId"),
        ("SETTLEMENT_UPDATE", {"settlement": ...}, "payload.settlementId"),
        ("CAMPAIGN_PERFORMANCE", {"issued": 1.5}, "payload.issued"),
        ("DOMAIN_EVENT", {"targetDomains": []}, "payload.targetDomains"),
    ],
)
def test_a_message_that_breaks_its_schema_is_refused_by_name(name, changes, field):
    assert refusal(example(name, **changes)).field == field


def test_both_of_the_seeds_shapes_of_a_settlement_update_are_taken():
    flat = {
        "settlementId": "PEN_001",
        "customerId": "CUST_001",
        "amount": 166.67,
        "status": "completed",
        "timestamp": "2025-01-26T15:30:00Z",
        "metadata": {"processedBy": "Agent Smith", "processingTime": 2300, "retryCount": 0},
    }
    validate(message(type="SETTLEMENT_UPDATE", payload=flat))
    assert refusal(message(type="SETTLEMENT_UPDATE", payload=flat | {"amount": None})).field == "payload.amount"


def test_a_refusal_does_not_quote_a_whole_payload():
    assert len(str(refusal(example("BONUS_ISSUED", transactionId=["x" * 100_000])))) < 300


def test_types_without_a_template_and_fields_without_a_rule_pass():
    validate(message(type="SOMETHING_ELSE", payload={"anything": [None]}))
    validate(example("BONUS_ISSUED", note={"free": "text"}))


def test_what_the_fast_check_doubts_is_for_jsonschema_to_judge():
    doubted = example("CAMPAIGN_PERFORMANCE", issued=1200.0)
    assert not compile_check(templates()["CAMPAIGN_PERFORMANCE"].schema)(doubted.payload)
    validate(doubted)


def mutations(template):
    names = sorted({*template.schema.get("properties", ()), *json.dumps(template.schema).split('"')[1::2]})
    return st.dictionaries(
        st.sampled_from(names), SCALARS | st.dictionaries(st.sampled_from(names), SCALARS), max_size=3
    )


@EACH
def test_the_fast_check_passes_nothing_that_jsonschema_refuses(template):
    check, payload = compile_check(template.schema), example(template.type).payload

    @LAW
    @given(mutations(template), st.sets(st.sampled_from(sorted(payload)), max_size=2))
    def law(changes, dropped):
        changed = {key: value for key, value in {**payload, **changes}.items() if key not in dropped}
        if check(changed):
            judge(template.type, changed)

    law()


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": ["string", "number"]},
        {"type": "string", "contentEncoding": "base64"},
        {"type": "object", "additionalProperties": False},
        {"type": "object", "if": {"properties": {"a": {"const": 1}}}, "then": {"type": "object"}},
        {"$ref": "#/$defs/x"},
    ],
)
def test_a_keyword_that_is_not_known_makes_a_check_doubt_everything(schema):
    check = compile_check(schema)
    assert not any(check(value) for value in ("x", 1, {}, {"a": 1}, [], None))


def test_a_date_is_a_day_that_exists():
    assert is_date("2024-02-29")
    assert not any(is_date(text) for text in ("2025-02-29", "20250126", "2025-W04-7", "2025-01-26T00:00:00Z", ""))


def test_a_worker_whose_messages_are_in_order_never_loads_jsonschema():
    code = """
import sys
from foundation.documents import read_yaml
from messenger.envelope import Envelope
from messenger.templates import templates, validate
for template in templates().values():
    validate(Envelope.from_document(read_yaml(template.example)))
assert "jsonschema" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
