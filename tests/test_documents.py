"""The documents: every path, link and make target in them exists."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT

DOCUMENTS = ["AGENTS.md", "CONTRIBUTING.md", "SECURITY.md"]
PAGES = [*DOCUMENTS, "README.md", "SKILL.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_path_in_a_document_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:md|toml|lock))`", text)
    assert paths
    roots = [ROOT, ROOT / "skill/cancel_message_batch", ROOT / "skill/cancel_message_batch/cli"]
    made = {"dist/"}  # by a target
    missing = [
        path
        for path in paths
        if "NAME" not in path and path not in made and not any((root / path).exists() for root in roots)
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_each_make_target_in_a_page_exists(page: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for called in re.findall(r"(?:`|^)make ([a-z -]+)", (ROOT / page).read_text(), re.MULTILINE):
        assert set(called.split()) <= set(targets), called


@pytest.mark.parametrize("page", PAGES)
def test_each_link_in_a_page_leads_to_a_file_and_a_heading(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text()):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _overview() -> dict[str, str]:
    """Return what AGENTS.md says about each module, by its path in the package."""
    text = (ROOT / "AGENTS.md").read_text().split("## Every file")[1].split("\n## ")[0]
    listed: dict[str, str] = {}
    for room in text.split("\n### ")[1:]:
        folder = found[1] if (found := re.match(r"`([\w/]+/)`", room)) else ""
        for entry in room.split("\n- ")[1:]:
            names, _, about = entry.partition(": ")
            listed |= dict.fromkeys((folder + name for name in re.findall(r"`(\w+\.py)`", names)), about)
    return listed


def _modules() -> set[str]:
    package = ROOT / "skill/cancel_message_batch"
    paths = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    return {path for path in paths if not path.endswith("/__init__.py")}


def test_the_overview_lists_every_module_and_no_other() -> None:
    new, gone = _modules() - set(_overview()), set(_overview()) - _modules()
    assert not new, f"add to AGENTS.md, below the heading of the room, a line `- NAME.py: what for` for {sorted(new)}"
    assert not gone, f"remove from AGENTS.md the lines for {sorted(gone)}"


def test_the_overview_says_where_each_module_is_tested() -> None:
    unknown = []
    for module, about in _overview().items():
        mirrored = ROOT / "tests" / Path(module.replace("commands/", "")).parent / f"test_{Path(module).name}"
        if not mirrored.exists() and not re.search(r"\(tests:\s+`tests/", about):
            unknown.append(module)
    assert unknown == [], "add to the line in AGENTS.md `(tests: tests/…)`, or write tests/ROOM/test_NAME.py"


@pytest.mark.parametrize("name", ["cancel", "status"])
def test_the_screens_are_those_of_the_program(name: str) -> None:
    pytest.importorskip("termios")
    spec = importlib.util.spec_from_file_location("screens", ROOT / "docs/screens.py")
    assert spec
    assert spec.loader
    screens: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(screens)
    assert screens.taken(name, (80, 24)) in (ROOT / f"docs/screens/{name}.txt").read_text(encoding="utf-8")
    assert set(screens.SCREENS) == {path.stem for path in (ROOT / "docs/screens").iterdir()}
