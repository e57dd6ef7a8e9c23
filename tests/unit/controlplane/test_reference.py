"""The reference pages name every route, command and setting, or these fail."""

import re
from dataclasses import fields
from pathlib import Path

from controlplane.cli.main import COMMANDS, main
from controlplane.settings import Settings
from tests.apiclient import Api, services_in_memory

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
PREFIX = "/api/v1/environments/{environment}"


def test_every_route_of_the_api_is_in_the_reference():
    page = (REFERENCE / "api.md").read_text()
    missing = []
    for rule in Api(services_in_memory()).app.url_map.iter_rules():
        if rule.endpoint.startswith("ui."):
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        short = path.replace(PREFIX, "…") if path != PREFIX else path
        missing += [
            f"{method} {short}" for method in rule.methods - {"HEAD", "OPTIONS"} if f"`{method} {short}`" not in page
        ]
    assert missing == []


def test_every_command_is_in_the_reference():
    page = (REFERENCE / "commands.md").read_text()
    for name in COMMANDS:
        row = next(line for line in page.splitlines() if line.startswith(f"| `signalbox {name}` |"))
        for word in getattr(main.get_command(None, name), "commands", {}):
            assert f"`{word}`" in row


def commands():
    for name in COMMANDS:
        group = main.get_command(None, name)
        yield from (group, *getattr(group, "commands", {}).values())


def test_every_setting_is_in_the_reference():
    page = (REFERENCE / "commands.md").read_text()
    names = {
        "SIGNALBOX_ENV" if field.name == "environments" else f"SIGNALBOX_{field.name.upper()}"
        for field in fields(Settings)
    }
    names |= {option.envvar for command in commands() for option in command.params if option.envvar}
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_the_reference_of_a_replay_names_all_that_its_body_may_hold():
    row = next(line for line in (REFERENCE / "api.md").read_text().splitlines() if "dead-letters/replay`" in line)
    api = Api(services_in_memory())
    body = {"ids": [], "quarantine": True}
    assert all(f'"{name}"' in row for name in body)
    answer = api.post("queues/balance/dead-letters/replay", {**body, "junk": 1})
    assert answer.get_json()["detail"].endswith(f"one of {', '.join(body)}")
