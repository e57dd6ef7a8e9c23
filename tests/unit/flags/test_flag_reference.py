"""The reference page of flags names everything there is, and its examples work."""

import re
from pathlib import Path

import jsonschema

from flags.definitions import parse_definitions
from flags.evaluation import ErrorCode, Reason
from flags.feed import Status
from flags.operators import OPERATORS
from foundation.documents import read_yaml
from tests.unit.flags.test_flag_schema import SCHEMA

PAGE = Path(__file__).parents[3].joinpath("docs", "reference", "flags.md").read_text(encoding="utf-8")
PROSE = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
NAMED = set(re.findall(r"[A-Za-z_]+", " ".join(re.findall(r"`([^`]+)`", PROSE))))


def test_the_example_is_taken_by_the_parser_and_the_schema():
    example = read_yaml(re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1])
    jsonschema.Draft202012Validator(SCHEMA).validate(example)
    assert parse_definitions(example).flags["useYamlMessaging"].rollout.domains["distributions"] == 50_125


def test_every_field_operator_reason_code_and_status_is_on_the_page():
    defined = SCHEMA["$defs"]
    fields = {
        *defined["full"]["properties"],
        *defined["shorthand"]["properties"],
        *defined["rule"]["properties"],
        *defined["segment"]["properties"],
    }
    words = {*fields, *OPERATORS, *Reason, *ErrorCode, *Status}
    assert words - NAMED == set()
