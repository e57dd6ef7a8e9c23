"""The hash of a bucket is the one that flagd's published examples of `fractional`, version 2, are served by."""

import json
from pathlib import Path

import pytest

from flags.bucketing import bucket
from flags.explanation import evaluate
from flags.interchange.flagd_import import import_flagd
from flags.model import WEIGHT_TOTAL

PUBLISHED = json.loads((Path(__file__).parents[2] / "vectors" / "flagd_fractional.json").read_text())["vectors"]


@pytest.mark.parametrize("group", PUBLISHED, ids=lambda group: group["salt"] or "no salt")
def test_a_bucket_is_where_flagd_serves_the_same_variant(group):
    variants = group["variants"]
    for key, served in group["served"].items():
        assert variants[bucket(group["salt"], key) * len(variants) // WEIGHT_TOTAL] == served


@pytest.mark.parametrize("group", [group for group in PUBLISHED if group["salt"]], ids=lambda group: group["salt"])
def test_a_flag_imported_from_flagd_serves_each_key_what_flagd_served_it(group):
    weights = [[variant, 25] for variant in group["variants"]]
    flag = {
        "state": "ENABLED",
        "variants": {variant: variant for variant in [*group["variants"], "none"]},
        "defaultVariant": "none",
        "targeting": {"fractional": [{"cat": [group["salt"], {"var": "name"}]}, *weights]},
    }
    imported = import_flagd({"flags": {"cards": flag}}).definitions.flags["cards"]
    for key, served in group["served"].items():
        assert evaluate(imported, {"name": key}).value == served
