# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""Start the MCP server with the packages of requirements.lock, each file checked against its hash.

The Claude Code plugin and the Claude Desktop bundle run this file with ``uv run --script``. It installs the packages
itself, since uv checks the hashes of a requirements file in ``uv pip`` only, not in ``uvx`` or ``uv run``.
"""

import hashlib
import os
import site
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"


def locked_packages() -> Path:
    """Return the directory of the locked packages for this Python. The first start installs them."""
    made_for = b"\0".join([LOCK.read_bytes(), sys.version.encode(), sysconfig.get_platform().encode()])
    packages = ROOT / ".venv-mcp" / hashlib.sha256(made_for).hexdigest()[:16]
    if packages.exists():
        return packages
    packages.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=packages.parent) as stage:
        installed = Path(stage) / "packages"
        install = [os.environ.get("UV", "uv"), "pip", "install", "--quiet", "--require-hashes", "--requirement"]
        subprocess.run(  # noqa: S603 - uv's own path, and files of this directory
            [*install, str(LOCK), "--python", sys.executable, "--target", str(installed)],
            check=True,
            cwd=ROOT,  # so that uv reads no settings of the person's own project
            stdout=sys.stderr,  # standard output belongs to the protocol
        )
        try:
            installed.rename(packages)
        except OSError:
            if not packages.exists():  # otherwise another start at the same time was faster
                raise
    return packages


if __name__ == "__main__":
    try:
        site.addsitedir(str(locked_packages()))
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"The packages of {LOCK} could not be installed, so the MCP server cannot start: {error}")
    site.addsitedir(str(ROOT / "skill"))
    from cancel_message_batch.cli.main import main

    sys.exit(main(["mcp", *sys.argv[1:]]))
