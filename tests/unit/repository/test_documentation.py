"""The documentation keeps step with the code, or these fail."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("foundation", "flags", "messenger", "rollout", "controlplane")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])


def distributions() -> set[str]:
    extras = PROJECT["project"]["optional-dependencies"]
    lines = [*PROJECT["project"]["dependencies"], *(line for extra in extras.values() for line in extra)]
    return {re.match(r"[A-Za-z0-9._-]+", line).group() for line in lines}


def test_every_dependency_has_its_reason_and_every_reason_its_dependency():
    page = (ROOT / "docs/dependencies.md").read_text()
    first_cells = [row.split("|")[1] for row in page.splitlines() if row.startswith("| `")]
    explained = {name.split("[")[0] for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}
    assert explained == distributions()


def test_every_dependency_is_pinned():
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {name.lower() for name in distributions()} - pinned == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_repository_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    broken = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert broken == []


def test_every_decision_record_is_listed():
    listed = set(re.findall(r"\((\d{4}-[a-z0-9-]+\.md)\)", (ROOT / "docs/decisions/README.md").read_text()))
    assert listed == {path.name for path in (ROOT / "docs/decisions").glob("0*.md")}


def test_every_promise_names_tests_that_exist():
    named = re.findall(r"`((?:unit|contract|e2e|vectors)/[^`]+)`", (ROOT / "docs/reference/promises.md").read_text())
    assert named
    assert [name for name in named if not (ROOT / "tests" / name).exists()] == []


def undocumented(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    missing = [] if ast.get_docstring(tree) or not tree.body else ["the module"]
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    public = [node for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
    return missing + [node.name for node in public if not ast.get_docstring(node)]


def test_every_module_and_every_public_name_says_what_it_is_for():
    missing = {
        str(path.relative_to(ROOT)): names
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if (names := undocumented(path))
    }
    assert missing == {}
