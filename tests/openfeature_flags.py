"""The flags that OpenFeature's published scenarios ask for, as flag documents of ours.

The scenarios and their flags are in the repository open-feature/spec, folder specification/assets/gherkin.
"""

from typing import Any

TEMPLATE = {"showImages": True, "title": "Check out these pics!", "imagesPerPage": 100}
BALLMER = {"attribute": "email", "operator": "equals", "values": ["ballmer@macrosoft.com"]}
OUTSIDER = {"attribute": "customer", "operator": "in", "values": [False, "false"]}
METADATA = {"string": "1.0.2", "integer": 2, "float": 0.1, "boolean": True}
ZEROS = {
    "boolean": (False, True),
    "string": ("", "str"),
    "integer": (0, 1),
    "float": (0.0, 1.0),
    "object": ({}, TEMPLATE),
}
"""By type: a value that is falsy in most languages, and one that is not."""


def flag(served: dict[str, Any], off: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """Make the document of a flag that serves the one variant to everyone, unless its parts say otherwise."""
    (on_variant,), (off_variant,) = served, off
    variants = {"variants": {**served, **off}, "onVariant": on_variant, "offVariant": off_variant}
    return {"enabled": True, **variants, **parts}


def documents() -> dict[str, Any]:
    """Make the document of all flags."""
    flags = {
        "boolean-flag": flag({"on": True}, {"off": False}),
        "string-flag": flag({"greeting": "hi"}, {"parting": "bye"}),
        "integer-flag": flag({"ten": 10}, {"one": 1}),
        "float-flag": flag({"half": 0.5}, {"tenth": 0.1}),
        "object-flag": flag({"template": TEMPLATE}, {"empty": {}}),
        "wrong-flag": flag({"one": "uno"}, {"two": "dos"}),
        "context-aware": flag(
            {"external": "EXTERNAL"}, {"internal": "INTERNAL"}, rules=[{"if": [OUTSIDER], "serve": "internal"}]
        ),
        "metadata-flag": flag({"on": True}, {"off": False}, metadata=METADATA),
        "boolean-disabled-flag": flag({"on": True}, {"off": False}, enabled=False),
        "string-disabled-flag": flag({"greeting": "hi"}, {"parting": "bye"}, enabled=False),
        "changing-flag": flag({"foo": "foo"}, {"bar": "bar"}),
        "async-flag": flag({"on": True}, {"off": False}),
    }
    for kind, (zero, other) in ZEROS.items():
        rules = [{"if": [BALLMER], "serve": "zero"}]
        flags[f"{kind}-zero-flag"] = flag({"zero": zero}, {"non-zero": other})
        flags[f"{kind}-targeted-zero-flag"] = flag({"zero": zero}, {"non-zero": other}, rules=rules)
    return {"flags": flags}
