"""The official Python SDK drives the sandbox, wherever it is mounted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cancel_message_batch.sandbox.app import MOCK_PREFIX

from .conftest import Serve

SCRIPT = Path(__file__).parent / "drive_sdk.py"


# The SDK adds /v1 itself.
@pytest.mark.parametrize("mount", ["", MOCK_PREFIX])
def test_the_official_sdk_drives_all_six_operations_with_strict_validation(mount: str, serve: Serve) -> None:
    sandbox = serve(account=None)
    command = [sys.executable, "-W", "error", str(SCRIPT), sandbox.url + mount]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ))
    assert (result.returncode, result.stderr) == (0, "")
    assert "all six operations" in result.stdout
    operations = {
        (each.method, each.path.count("/") - mount.count("/"), each.path.rsplit("/", 1)[-1] in {"cancel", "results"})
        for each in sandbox.journal
        if each.status == 200
    }
    assert len(operations) == 6
