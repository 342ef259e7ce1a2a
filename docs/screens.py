"""Write docs/screens/*.txt: what people see, from a real pseudo-terminal against the sandbox. `make screens`.

The clock of the sandbox stands still and its ids repeat, so that a second run writes the same. Each screen is taken in
colour and with NO_COLOR, which must show the same text.
"""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic
import pyte

import cancel_message_batch
from cancel_message_batch.sandbox import Account, Sandbox

SIZES = ((80, 24), (120, 40))
OUT = Path(__file__).parent / "screens"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
UP, DOWN, SPACE, ENTER = "\x1b[A", "\x1b[B", " ", "\r"
NEWEST, NAMED = "msgbatch_01Kq8WnTcEvYbR4mXs2LdPhZ", "msgbatch_01Zu4XmPdHsGfaT7cQn9KwEj"
DONE = "msgbatch_01RhT5sBnKwQz8YcVm3JxPfD"
ALIKE, ALSO_ALIKE = "msgbatch_01VbIaO5tRyUeWqXzNmKcDgF", "msgbatch_01Vbla05tRyUeWqXzNmKcDgF"

# Shown text, with what a run cannot repeat.
STEADY = (
    (r"127\.0\.0\.1:\d+", "127.0.0.1:8080"),
    (r"pid \d+", "pid 4242"),
    (r"waiting \d+:\d\d", "waiting 0:05"),
    (r"\d\d-\d\d \d\d:\d\d UTC (?=cancel|name)", "11-29 12:00 UTC "),  # the record has this machine's clock
)


def steady(text: str) -> str:
    """Return shown text in which nothing is left that the next run cannot repeat."""
    for pattern, shown in STEADY:
        text = re.sub(pattern, shown, text)
    return text


class Terminal:
    """The program at a terminal of its own."""

    def __init__(self, size: tuple[int, int], *words: str, **environment: str) -> None:
        self._columns, self._rows = size
        self._screen: Any = pyte.HistoryScreen(self._columns, self._rows)
        self._stream: Any = pyte.Stream(self._screen)
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (self._rows, self._columns))
        program = [sys.executable, "-m", "cancel_message_batch", *words]
        self.process = subprocess.Popen(
            program, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | environment
        )
        os.close(theirs)

    def _read(self) -> bool:
        if select.select([self._ours], [], [], 0.1)[0]:
            try:
                self._stream.feed(os.read(self._ours, 65536).decode(errors="replace"))
            except OSError:
                return False
        return True

    def until(self, shown: str) -> None:
        """Wait until something is on the screen."""
        deadline = time.monotonic() + 60
        while shown not in "\n".join(self.lines):
            if time.monotonic() > deadline or not self._read():
                sys.exit(f"{shown!r} did not come:\n" + "\n".join(self.lines))

    def settle(self) -> None:
        """Wait until the screen is twice the same, so that nothing is half drawn."""
        seen = None
        while seen != (seen := steady("\n".join(self.lines))):
            end = time.monotonic() + 0.4
            while time.monotonic() < end:
                self._read()

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def end(self, number: signal.Signals | None = None) -> None:
        """Wait until the program has ended, after a signal if one is given."""
        if number:
            self.process.send_signal(number)
        while self._read():
            pass
        self.process.wait()

    @property
    def lines(self) -> list[str]:
        """What is on the screen and above it, without the empty lines at the end."""
        above = ["".join(row[column].data for column in range(self._columns)) for row in self._screen.history.top]
        return "\n".join(line.rstrip() for line in (*above, *self._screen.display)).rstrip().split("\n")


Open = Callable[..., Terminal]


def an_account() -> Account:
    """Make an account with batches of many kinds."""
    account = Account.example(seed=20, speed=1, clock=lambda: NOW)
    for number in range(40):
        account.add(2_000 + 250 * number, 900 + 1200 * number, remaining=30 * 3600)
    for name, age in ((NEWEST, 130), (NAMED, 500), (ALIKE, 600), (ALSO_ALIKE, 650)):
        account.add(12_000, age, batch_id=name)
    return account


def ended(*words: str, **environment: str) -> Callable[[Open], Terminal]:
    """Return a screen of a command that ends by itself."""

    def take(open_terminal: Open) -> Terminal:
        terminal = open_terminal(*words, **environment)
        terminal.end()
        return terminal

    return take


def after(*steps: str, words: tuple[str, ...] = ()) -> Callable[[Open], Terminal]:
    """Return a screen of a command that goes on: texts to wait for and, after each, keys."""

    def take(open_terminal: Open) -> Terminal:
        terminal = open_terminal(*words)
        for number, step in enumerate(steps):
            terminal.type(step) if number % 2 else terminal.until(step)
        terminal.settle()
        return terminal

    return take


def interrupted(open_terminal: Open) -> Terminal:
    """Take what a wait leaves behind."""
    terminal = after("more", words=("wait", "--all"))(open_terminal)
    terminal.end(signal.SIGINT)
    return terminal


def program_runs(open_terminal: Open) -> Terminal:
    """Cancel a batch of a program that is still running: of this one."""
    client = anthropic.Anthropic(max_retries=0)
    message = {"model": "claude-opus-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    with cancel_message_batch.guard(client) as batches:
        created = batches.create(requests=[{"custom_id": f"request-{n}", "params": message} for n in range(12)])
        return ended(created.id)(open_terminal)


def noted(open_terminal: Open) -> Terminal:
    """Take the history after a cancel with a reason."""
    ended(NAMED, "--reason", "wrong prompt")(open_terminal)
    return ended("history")(open_terminal)


SCREENS: dict[str, Callable[[Open], Terminal]] = {
    "cancel": ended(NAMED),
    "cancel_program_runs": program_runs,
    "cancel_many": ended(NEWEST, NAMED, "msgbatch_unknown", ALIKE, ALSO_ALIKE),
    "cancel_all": after("[y/N]", words=("--all", "--newer-than", "15m")),
    "picker": after("of 48 selected"),
    "picker_scrolled": after("of 48 selected", DOWN * 40, "↓ 7 below"),
    "picker_filtered": after(
        "of 48 selected", SPACE + "/eval", "1 of 48 shown", ENTER, "1 of 48 shown\n", "a", "2 of 48"
    ),
    "wait": after("more", words=("wait", "--all")),
    "wait_interrupted": interrupted,
    "wait_ended": ended("wait", DONE),
    "status": ended("status", NAMED, DONE),
    "list": ended("list", "--limit", "12"),
    "history": noted,
    "error_token": ended("status", NAMED, ANTHROPIC_API_KEY="", ANTHROPIC_AUTH_TOKEN="expired-token"),
    "error_quotes": ended(f"'{NAMED}'"),
    "error_several": ended(f"{NAMED} {NEWEST}"),
}


@contextmanager
def an_environment() -> Iterator[None]:
    """Run a sandbox, and lead this process and those it starts to it and to a record of its own."""
    before = dict(os.environ)
    account = an_account()
    account.add(9_000, 5 * 3600, "canceled", batch_id=DONE)
    with tempfile.TemporaryDirectory() as home, Sandbox(account=account, key="demo") as sandbox:
        os.environ.clear()
        os.environ.update(
            PATH=before["PATH"], HOME=home, TZ="UTC", LANG="C.UTF-8", TERM="xterm-256color", PROMPT_TOOLKIT_NO_CPR="1",
            ANTHROPIC_BASE_URL=sandbox.url, ANTHROPIC_API_KEY="demo", CANCEL_MESSAGE_BATCH_RECORD=f"{home}/record",
        )  # fmt: skip
        try:
            for name, title in ((NAMED, "nightly eval"), (DONE, "translations, second try")):
                ended("name", name, title)(lambda *words: Terminal((80, 24), *words))
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def taken(name: str, size: tuple[int, int], **environment: str) -> str:
    """Take one screen."""
    opened: list[Terminal] = []
    shown: list[str] = []

    def open_terminal(*words: str, **more: str) -> Terminal:
        opened.append(Terminal(size, *words, **environment, **more))
        quoted = [word if re.fullmatch(r"[\w-]+", word) else f'"{word}"' for word in words]
        shown[:] = [" ".join(["$ cancel-message-batch", *quoted])]
        return opened[-1]

    with an_environment():
        try:
            lines = SCREENS[name](open_terminal).lines
            text = "\n".join([*shown, *lines])
        finally:
            for terminal in opened:
                terminal.process.kill()
                terminal.process.wait()
    return steady(text)


def main() -> None:
    """Take the screens that are named on the command line, or all of them."""
    OUT.mkdir(exist_ok=True)
    for name in sys.argv[1:] or SCREENS:
        parts = []
        for size in SIZES:
            text = taken(name, size)
            if (plain := taken(name, size, NO_COLOR="1")) != text:
                sys.exit(f"{name} is different with NO_COLOR:\n{text}\n{plain}")
            rule = f"{size[0]} x {size[1]} ".ljust(size[0], "-")
            parts.append(f"{rule}\n{text}\n")
        (OUT / f"{name}.txt").write_text("\n".join(parts))
        print(f"Wrote docs/screens/{name}.txt")


if __name__ == "__main__":
    main()
