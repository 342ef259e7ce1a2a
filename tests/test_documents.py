"""The documents: every path, link and make target in them exists."""

import re
from pathlib import Path

import pytest

from .conftest import ROOT

DOCUMENTS = ["AGENTS.md", "CONTRIBUTING.md", "SECURITY.md"]
PAGES = [*DOCUMENTS, "README.md", "SKILL.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_path_in_a_document_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:md|toml|lock|py))`", text)
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


def test_the_overview_for_agents_is_short() -> None:
    assert len((ROOT / "AGENTS.md").read_text().splitlines()) <= 60
