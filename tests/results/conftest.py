"""Where results are saved, on systems with POSIX directories and on others."""

import os
from pathlib import Path

import pytest

from .without_posix import CHANGED, take_posix_away


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture(params=["POSIX", "no POSIX"] if hasattr(os, "O_DIRECTORY") else ["no POSIX"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test twice: as it is here, and with what Windows has not taken away."""
    if request.param == "no POSIX" and hasattr(os, "O_DIRECTORY"):
        for name in CHANGED:
            monkeypatch.setattr(os, name, getattr(os, name))  # so that it comes back
        take_posix_away()
    return str(request.param)
