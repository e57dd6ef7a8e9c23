"""The runbook and the script's help speak of nothing that the command does not have."""

import re
from pathlib import Path

import pytest

from controlplane.cli.rollback import command

ROOT = Path(__file__).parents[3]
OPTIONS = {word for option in command.params for word in option.opts} | {"--help", "--public-key"}


@pytest.mark.parametrize("page", ["docs/how-to/emergency-rollback.md", "scripts/rollback.sh"])
def test_every_option_that_is_named_exists(page):
    text = (ROOT / page).read_text()
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    assert named - OPTIONS == set()


def test_every_option_a_person_may_need_is_in_the_runbook():
    text = (ROOT / "docs/how-to/emergency-rollback.md").read_text()
    shown = {option.opts[0] for option in command.params if not getattr(option, "hidden", False)}
    assert {option for option in shown if option not in text} <= {"--env", "--converge-timeout", "--signing-key"}
