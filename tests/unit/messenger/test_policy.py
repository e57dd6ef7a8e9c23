import pytest

from flags.model import Revision
from messenger.formats import ADAPTIVE, FIXED, GZIP, IDENTITY, JSON, SINGLE, YAML, ZSTD, Format
from messenger.policy import FlagPolicy

CONTEXT = {"targetingKey": "corr_1", "domain": "collections", "targetDomain": "balance"}


class FakeClient:
    """Flags by hand."""

    def __init__(self, lapsed=False, **values):
        self.lapsed, self.values = lapsed, values
        self.revision = Revision(7, 3)
        self.asked = []

    def get_string_value(self, flag_key, default_value, context=None):
        self.asked.append((flag_key, context))
        return self.values.get(flag_key, default_value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Format(JSON, IDENTITY, SINGLE, "7-3")),
        ({"useYamlMessaging": "yaml"}, Format(YAML, IDENTITY, SINGLE, "7-3")),
        ({"useYamlMessaging": "json", "enableCompression": "gzip"}, Format(JSON, GZIP, SINGLE, "7-3")),
        ({"enableCompression": "zstd"}, Format(JSON, ZSTD, SINGLE, "7-3")),
        ({"enableBatching": "batched"}, Format(JSON, IDENTITY, ADAPTIVE, "7-3")),
        ({"enableBatching": "fixed"}, Format(JSON, IDENTITY, FIXED, "7-3")),
        (
            {"useYamlMessaging": "yaml", "enableCompression": "gzip", "enableBatching": "batched"},
            Format(YAML, GZIP, ADAPTIVE, "7-3"),
        ),
        (
            {"useYamlMessaging": "cbor", "enableCompression": "uncompressed", "enableBatching": ""},
            Format(JSON, IDENTITY, SINGLE, "7-3"),
        ),
    ],
)
def test_the_three_flags_choose_the_format(values, expected):
    assert FlagPolicy(FakeClient(**values)).choose(CONTEXT) == expected


def test_each_flag_is_asked_about_the_message():
    client = FakeClient()
    FlagPolicy(client).choose(CONTEXT)
    assert client.asked == [
        ("useYamlMessaging", CONTEXT),
        ("enableCompression", CONTEXT),
        ("enableBatching", CONTEXT),
    ]


def test_a_client_past_its_lease_gets_the_fallback_and_is_not_asked():
    client = FakeClient(lapsed=True, useYamlMessaging="yaml", enableCompression="gzip", enableBatching="batched")
    assert FlagPolicy(client).choose(CONTEXT) == Format(JSON, IDENTITY, SINGLE, "7-3")
    assert client.asked == []


def test_a_format_is_never_labelled_with_a_revision_newer_than_its_flags():
    class Moving(FakeClient):
        def get_string_value(self, flag_key, default_value, context=None):
            self.revision = Revision(7, self.revision.rev + 1)
            return super().get_string_value(flag_key, default_value, context)

    assert FlagPolicy(Moving(useYamlMessaging="yaml")).choose(CONTEXT).revision == "7-3"
