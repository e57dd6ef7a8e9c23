"""Writes plain values as YAML that people like to read: block style, keys in their order, every value in full."""

from __future__ import annotations

import functools
import math
from typing import Any

from foundation.errors import DocumentError, shorten
from foundation.limits import check_unicode

_FOLDED_AWAY = "\x85\u2028\u2029"
"""Characters that YAML 1.1 takes for line breaks: only double quotes keep them."""


def write_yaml(value: Any) -> str:
    """Write a JSON value as block-style YAML for people; `read_yaml` reads the same value back.

    Raises:
        DocumentError: the value holds something that JSON could not carry.
    """
    import yaml  # noqa: PLC0415 - a process that never meets YAML does not load it

    try:
        return str(yaml.dump(value, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=100))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise DocumentError("", f"can't be written as YAML: {error}") from error
    except RecursionError as error:
        raise DocumentError("", "can't be written as YAML: it is nested too deep") from error


@functools.cache
def _dumper() -> Any:
    import yaml  # noqa: PLC0415 - as above

    # The Python emitter and libyaml's differ in details of folding; this one is the same everywhere, and quick enough.
    class Dumper(yaml.SafeDumper):
        """PyYAML's safe dumper, taught to write plain values only."""

        yaml_representers = {  # noqa: RUF012 - PyYAML's own way of saying what it can write
            kind: function
            for kind, function in yaml.SafeDumper.yaml_representers.items()
            if kind in {None, type(None), bool, int, list, tuple}
        }

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - an alias is never written
            return True

    Dumper.add_representer(str, _text)
    Dumper.add_representer(float, _number)
    Dumper.add_representer(dict, _mapping)
    return Dumper


def _text(dumper: Any, value: str) -> Any:
    check_unicode(value)
    style = "|" if "\n" in value else None
    if any(mark in value for mark in _FOLDED_AWAY):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _number(dumper: Any, value: float) -> Any:
    if not math.isfinite(value):
        raise ValueError(f"holds {value}, which is not a JSON number")
    return dumper.represent_float(value)


def _mapping(dumper: Any, value: dict[Any, Any]) -> Any:
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"has the key {shorten(key)}, which is not text")
    return dumper.represent_dict(value.items())
