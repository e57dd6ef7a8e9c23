"""What is exported to flagd comes back as it was, whatever flags are made of; what does not is listed."""

import json

from hypothesis import given
from hypothesis import strategies as st

from flags.definitions import parse_definitions
from flags.documents import flag_document, parse_flag
from flags.interchange.flagd_export import export_flagd
from flags.interchange.flagd_import import import_flagd
from tests.flag_documents import CLAUSES, LAW, NAMES, full_documents


def _exportable(clause):
    return clause["operator"] != "matches"


SEGMENTS = st.fixed_dictionaries(
    {
        name: st.fixed_dictionaries({"if": st.lists(CLAUSES.filter(_exportable), min_size=1, max_size=3)})
        for name in ("beta", "staff")
    }
)


@st.composite
def definitions(draw):
    """Draw flags of which some need another, with the segments they name."""
    documents = {
        key: draw(full_documents()) for key in [*draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)), "other"]
    }
    for key, document in documents.items():
        needs = document.pop("prerequisites", [])
        if needs and key != "other":
            document["prerequisites"] = [{"flag": "other", "variants": list(documents["other"]["variants"])[:2]}]
    return parse_definitions({"flags": documents, "segments": draw(SEGMENTS)})


@LAW
@given(definitions())
def test_what_is_exported_comes_back_as_it_was_and_what_is_not_is_listed(given):
    exported = export_flagd(given)
    imported = import_flagd(json.loads(json.dumps(exported.document)))
    assert all("does not define" in each.reason for each in imported.findings)
    held = {f"flags.{key}.hold" for key, flag in given.flags.items() if flag.hold}
    for key, flag in given.flags.items():
        if key in exported.document["flags"]:
            assert flag_document(imported.definitions.flags[key]) == flag_document(without_hold(flag))
        else:
            assert any(each.field.startswith(f"flags.{key}.") or key in each.reason for each in exported.findings)
    for key, segment in imported.definitions.segments.items():
        assert segment == given.segments[key]
    assert held >= {each.field for each in exported.findings if each.field.endswith(".hold")}


def without_hold(flag):
    document = flag_document(flag)
    document.pop("hold", None)
    return parse_flag(flag.key, document)
