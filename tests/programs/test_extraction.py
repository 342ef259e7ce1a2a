"""Libraries that extract data by batches: their own extraction succeeds with the sandbox's results."""

import os
import subprocess
from pathlib import Path

import pytest

from cancel_message_batch.sandbox import Sandbox

PROGRAMS = os.environ.get("PROGRAMS", "")
if not PROGRAMS:
    pytest.skip("`make test-programs` installs the programs", allow_module_level=True)


def test_instructor_and_steadybatch_extract_what_they_asked_for(sandbox: Sandbox) -> None:
    python = Path(PROGRAMS) / "extraction" / "bin" / "python"
    program = Path(__file__).with_name("extraction_program.py")
    done = subprocess.run([python, program, sandbox.url], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 each" in done.stdout
