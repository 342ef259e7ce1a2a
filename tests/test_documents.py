"""The documents for contributors: each path in them exists."""

import re

import pytest

from .conftest import ROOT

DOCUMENTS = ["AGENTS.md", "CONTRIBUTING.md", "SECURITY.md"]


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


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_target_in_a_document_exists(document: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for called in re.findall(r"`make ([a-z -]+)", (ROOT / document).read_text()):
        assert set(called.split()) <= set(targets), called


def test_the_overview_for_agents_is_short() -> None:
    assert len((ROOT / "AGENTS.md").read_text().splitlines()) <= 60
