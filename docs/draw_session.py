"""Record docs/session.svg: a real session in a real terminal (tmux) against the sandbox. `make recording`."""

import io
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cancel_message_batch.sandbox import Account, Sandbox

COLUMNS, LINES = 80, 34
OUT = Path(__file__).parent / "session.svg"

# Only the drawing: no fonts are fetched from anywhere.
DRAWING = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" xml:space="preserve">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
font-size: {char_height}px; line-height: {line_height}px; white-space: pre; }}
{styles}
</style>
<defs>{lines}</defs>
<rect fill="#1b1d23" width="{width}" height="{height}" rx="8"/>
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def tmux(*arguments: str) -> str:
    """Drive a terminal of our own."""
    done = subprocess.run(["tmux", "-L", "recording", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def typed(text: str, seconds: float) -> None:
    """Type a line, and wait for its output."""
    tmux("send-keys", "-t", "session", text, "Enter")
    time.sleep(seconds)


def main() -> None:
    """Run the session and draw its screen."""
    if shutil.which("tmux") is None:
        sys.exit("tmux is needed for the recording")
    account = Account()
    for requests, minutes in ((60_000, 372), (850, 38), (12_000, 4)):
        account.add(requests, minutes * 60)
    with Sandbox(account=account) as sandbox:
        environment = {
            "ANTHROPIC_BASE_URL": sandbox.url, "ANTHROPIC_API_KEY": "demo", "PS1": "$ ", "TZ": "UTC",
            "CANCEL_MESSAGE_BATCH_RECORD": "off",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }  # fmt: skip
        settings = [f"{name}={value}" for name, value in environment.items()]
        shell = ["env", *settings, "bash", "--noprofile", "--norc"]
        tmux("new-session", "-d", "-s", "session", "-x", str(COLUMNS), "-y", str(LINES), *shell)
        try:
            time.sleep(0.5)
            typed("clear", 0.5)
            typed("cancel-message-batch list --status in_progress", 2)
            typed("cancel-message-batch --all --older-than 2h --yes --wait", 12)
            typed('cancel-message-batch ask "cancel my newest batch"', 5)
            typed("y", 3)
            screen = tmux("capture-pane", "-t", "session", "-e", "-p")
        finally:
            tmux("kill-server")
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen.rstrip().removesuffix("$").rstrip()))
    OUT.write_text(console.export_svg(code_format=DRAWING, unique_id="session"))
    print(f"Drew {OUT.relative_to(Path.cwd()) if OUT.is_relative_to(Path.cwd()) else OUT}")


if __name__ == "__main__":
    main()
