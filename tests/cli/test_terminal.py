"""What a person sees and types at a terminal: a real pseudo-terminal, read as a screen, in colour."""

import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyte
import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.cli.terminal import Prose, fitted
from cancel_message_batch.sandbox import Account, Fault, Sandbox
from tests.conftest import PROGRAM, Run, cancels, eventually
from tests.scripted import serving

# Makes the terminal of its standard error the controlling one, as it is for whatever a shell starts.
IN_ITS_TERMINAL = [
    sys.executable,
    "-c",
    "import fcntl, os, sys, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])",
]
UP, DOWN, SPACE, ENTER, CTRL_C, CTRL_D = "\x1b[A", "\x1b[B", " ", "\r", "\x03", "\x04"


class Terminal:
    """A command at a terminal of its own."""

    def __init__(
        self,
        columns: int,
        *arguments: str,
        stdout: Path | None = None,
        stderr: Path | None = None,
        lines: int = 60,
        piped: str | None = None,
        within: Sequence[str] = IN_ITS_TERMINAL,
    ) -> None:
        """Start it. With ``piped``, standard input holds that, and the terminal is the one it was started from.

        ``within`` is the command that then starts it.
        """
        self._screen: Any = pyte.HistoryScreen(columns, lines)
        self._stream: Any = pyte.Stream(self._screen)
        pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
        self._ours, theirs = pty.openpty()
        self.received = ""  # all of it, as it came
        termios.tcsetwinsize(theirs, (lines, columns))
        environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "NO_COLOR"}}
        output = theirs if stdout is None else os.open(stdout, os.O_WRONLY | os.O_CREAT)
        errors = theirs if stderr is None else os.open(stderr, os.O_WRONLY | os.O_CREAT)
        with tempfile.TemporaryFile() as found:
            found.write((piped or "").encode())
            found.seek(0)
            self.process = subprocess.Popen(
                [*([] if piped is None else within), *PROGRAM, *arguments],
                stdin=theirs if piped is None else found,
                stdout=output,
                stderr=errors,
                env=environment | {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"},
                start_new_session=piped is not None,
            )
        for descriptor in {output, errors, theirs}:
            os.close(descriptor)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def marks_pastes(self) -> bool:
        """Whether the program has asked the terminal to say where a paste begins and ends."""
        return (2004 << 5) in self._screen.mode

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return True
        try:
            came = os.read(self._ours, 65536).decode(errors="replace")
        except OSError:  # how a pseudo-terminal tells that its other end is closed
            return False
        self.received += came
        self._stream.feed(came)
        return True

    def until(self, shown: str) -> None:
        """Wait until something is on the screen."""
        deadline = time.monotonic() + 30
        while shown not in self.text:
            assert self._read(0.1) or shown in self.text, self.text
            assert time.monotonic() < deadline, self.text

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    @property
    def scrolled(self) -> int:
        """How many lines have left the screen at its top."""
        return len(self._screen.history.top)

    def resize(self, columns: int, lines: int) -> None:
        """Make the window smaller or larger, and wait until something has been drawn since."""
        self._screen.resize(lines, columns)
        self._screen.erase_in_display(2)
        pytest.importorskip("termios").tcsetwinsize(self._ours, (lines, columns))

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for the command's end; returns its exit code."""
        deadline = time.monotonic() + 60
        while self._read(1):
            assert time.monotonic() < deadline, self.text
        return self.process.wait(30)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture(params=[80, 40])
def columns(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def terminals(sandbox: Sandbox) -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


@pytest.fixture
def running(sandbox: Sandbox) -> list[str]:
    # The same ids each time: now and then a random one would hold what a test types into the filter.
    sandbox.reset(Account.example(seed=2, speed=sandbox.account.speed))
    return [sandbox.account.add(requests=5_000, age=20.0 + age, status="in_progress") for age in range(2)]


def opened(terminals: list[Terminal], columns: int, *arguments: str, stdout: Path | None = None) -> Terminal:
    terminals.append(Terminal(columns, *arguments, stdout=stdout))
    return terminals[-1]


def begins_a_line(screen: Terminal, *ids: str) -> bool:
    return all(any(line.startswith(name) for line in screen.lines) for name in ids)


def test_all_shows_what_it_will_stop_a_batch_a_row_and_asks_once(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str], columns: int
) -> None:
    screen = opened(terminals, columns, "--all", "--newer-than", "2m")
    screen.until("requests? [y/N]")
    assert "Cancel these 2 message batches, 10,000 requests? [y/N]" in " ".join(screen.lines)
    assert begins_a_line(screen, *running)
    if columns == 80:
        assert len(screen.lines) == 4, screen.text  # a head, two rows, the question
    assert cancels(sandbox) == []
    screen.type("y\r")
    assert screen.end() == 0
    assert sorted(cancels(sandbox)) == sorted(running)


@pytest.mark.parametrize("answer", ["n\r", "\r", CTRL_D])
def test_all_without_a_yes_cancels_nothing(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str], answer: str
) -> None:
    screen = opened(terminals, 80, "--all", "--newer-than", "2m")
    screen.until("[y/N]")
    screen.type(answer)
    assert screen.end() == 3
    assert "Nothing was canceled." in screen.text
    assert running
    assert cancels(sandbox) == []


@pytest.mark.parametrize("stdout", [None, "out.txt"])
def test_ids_from_standard_input_are_shown_and_asked_about_at_the_terminal(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str], tmp_path: Path, stdout: str | None
) -> None:
    ended = sandbox.account.add(requests=7, age=7200, status="ended")
    found = "\n".join([*running, ended, "msgbatch_unknown"])
    for answer, code in (("n\r", 3), ("\r", 3), (CTRL_D, 3), (CTRL_C, 130), ("y\r", 4)):
        terminals.append(Terminal(80, "-", piped=found, stdout=tmp_path / stdout if stdout else None))
        screen = terminals[-1]
        screen.until("[y/N]")
        assert "Cancel these 2 message batches, 10,000 requests? [y/N]" in screen.text
        assert "There is no message batch msgbatch_unknown" in screen.text
        assert begins_a_line(screen, *running)
        assert not begins_a_line(screen, ended)
        assert cancels(sandbox) == []
        screen.type(answer)
        assert screen.end() == code
        assert code == 4 or "Nothing was canceled." in screen.text
    assert sorted(cancels(sandbox)) == sorted([*running, ended])


def test_a_job_in_the_background_is_not_stopped_by_a_question_but_refused(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str]
) -> None:
    wrapped = IN_ITS_TERMINAL[-1].partition("os.execv")[0] + "import subprocess; "
    wrapped += "sys.exit(subprocess.run(sys.argv[1:], process_group=0).returncode)"
    terminals.append(Terminal(80, "-", piped="\n".join(running), within=[sys.executable, "-c", wrapped]))
    assert terminals[-1].end() == 2
    assert "there is no terminal to ask in" in " ".join(terminals[-1].lines)
    assert sandbox.journal == []


def test_a_yes_that_was_piped_in_after_the_ids_is_no_yes(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str]
) -> None:
    terminals.append(Terminal(80, "-", piped=f"{running[0]}\n{running[1]}\ny\n"))
    assert terminals[-1].end() == 2
    terminals.append(Terminal(80, "-", piped="\n".join(running)))
    terminals[-1].type("y\r")
    terminals[-1].until("[y/N]")
    terminals[-1].type("\r")
    assert terminals[-1].end() == 3
    assert cancels(sandbox) == []


@pytest.mark.parametrize(
    "choice", [(DOWN + SPACE + UP + DOWN + ENTER, [1]), (SPACE + DOWN + SPACE + ENTER, [0, 1])], ids=["one", "two"]
)
def test_the_chosen_batches_and_no_others_are_canceled_after_one_yes(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str], columns: int, choice: tuple[str, list[int]]
) -> None:
    keys, chosen = choice
    ids = [running[number] for number in chosen]
    screen = opened(terminals, columns)
    screen.until(running[1])
    screen.type(keys)
    screen.until("[y/N]")
    which = f"message batch {ids[0]}, 5,000" if len(ids) == 1 else "these 2 message batches, 10,000"
    assert f"Cancel {which} requests? [y/N]" in " ".join(screen.lines)
    assert all(any(name in line for line in screen.lines) for name in ids)
    assert cancels(sandbox) == []
    screen.type("y\r")
    assert screen.end() == 0
    assert sorted(cancels(sandbox)) == sorted(ids)


@pytest.mark.parametrize("keys", [ENTER, DOWN + ENTER, CTRL_D])
def test_a_picker_that_is_left_with_nothing_chosen_cancels_nothing_and_says_so(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str], keys: str
) -> None:
    screen = opened(terminals, 80)
    screen.until(running[1])
    screen.type(keys)
    assert screen.end() == 3
    assert "Nothing was selected, so nothing was canceled." in screen.text
    assert cancels(sandbox) == []


@pytest.mark.parametrize("keys", [ENTER + ENTER, SPACE + ENTER + "y" + ENTER, CTRL_D])
def test_keys_typed_before_the_picker_is_drawn_do_not_count(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str], keys: str
) -> None:
    screen = opened(terminals, 80)
    screen.type(keys)
    screen.until("none")
    screen.type(DOWN + SPACE + ENTER)  # which the picker, still open and as it was, obeys
    screen.until(f"Cancel message batch {running[1]}, 5,000 requests? [y/N]")
    screen.type("n\r")
    assert screen.end() == 3
    assert "Nothing was canceled." in screen.text
    assert cancels(sandbox) == []


def test_a_yes_typed_before_the_question_is_asked_does_not_count(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str]
) -> None:
    table = opened(terminals, 80, "--all", "--newer-than", "2m")
    table.type("y\r")
    picker = opened(terminals, 80)
    picker.until(running[1])
    picker.type(SPACE + ENTER + "y" + ENTER)
    for screen in (table, picker):
        screen.until("[y/N]")
        screen.type("\r")
        assert screen.end() == 3
        assert "Nothing was canceled." in screen.text
    assert cancels(sandbox) == []


def test_batches_are_picked_at_the_terminal_where_the_result_goes_to_a_file(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str], tmp_path: Path
) -> None:
    screen = opened(terminals, 80, "--json", "--yes", stdout=tmp_path / "out.json")
    screen.until(running[1])
    screen.type(DOWN + SPACE + ENTER)
    assert screen.end() == 0
    assert cancels(sandbox) == [running[1]]
    assert json.loads((tmp_path / "out.json").read_text())["id"] == running[1]


def test_a_chat_prompts_at_the_terminal_where_the_answers_go_to_a_file(
    sandbox: Sandbox, terminals: list[Terminal], tmp_path: Path
) -> None:
    answers = tmp_path / "answers.txt"
    screen = opened(terminals, 80, "chat", stdout=answers)
    screen.until(">")
    screen.type(f"cancel {EXAMPLE_ID}\r")
    screen.until(f"← {EXAMPLE_ID}: canceling\n>")
    screen.type(CTRL_D)
    assert screen.end() == 0
    assert EXAMPLE_ID in answers.read_text()
    assert answers.read_text().replace("\n", "").isprintable()
    assert ">" not in answers.read_text()


@pytest.mark.parametrize("arguments", [(), ("--all",), ("--yes",)])
def test_an_interruption_while_it_asks_cancels_nothing_and_says_so(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str], arguments: tuple[str, ...]
) -> None:
    screen = opened(terminals, 80, *arguments)
    screen.until(running[0])
    screen.until("none" if arguments != ("--all",) else "[y/N]")
    screen.interrupt() if arguments == ("--all",) else screen.type(CTRL_C)
    assert screen.end() == 130
    assert "Interrupted. Nothing was canceled." in screen.text
    assert cancels(sandbox) == []


def test_interrupting_a_cancel_says_that_it_may_have_arrived(sandbox: Sandbox, terminals: list[Terminal]) -> None:
    sandbox.fail(Fault(match="cancel", times=0, hang=True))
    screen = opened(terminals, 80, EXAMPLE_ID)
    eventually(lambda: cancels(sandbox))
    screen.interrupt()
    assert screen.end() == 130
    assert "may be canceling" in screen.text
    assert EXAMPLE_ID in screen.text


def test_waiting_shows_a_row_for_each_batch_with_what_is_known(terminals: list[Terminal], running: list[str]) -> None:
    screen = opened(terminals, 80, "wait", EXAMPLE_ID, *running)
    screen.until("the API reports no progress before the end")
    screen.until("5,000")
    rows = [line.split() for line in screen.lines if line.startswith("msgbatch_")]
    assert [row[:2] for row in rows] == [[name, "in_progress"] for name in (EXAMPLE_ID, *running)]
    assert screen.lines[0].split() == ["ID", "STATUS", "FOR", "REQUESTS", "ENDS", "BY"]
    screen.interrupt()
    assert screen.end() == 130
    assert "Interrupted; not ended yet:" in screen.text


@pytest.mark.parametrize("stdout", [None, "out.txt"])
def test_waiting_for_more_than_the_terminal_has_room_for_keeps_the_last_line_and_leaves_nothing_behind(
    sandbox: Sandbox, terminals: list[Terminal], columns: int, tmp_path: Path, stdout: str | None
) -> None:
    for _ in range(20):
        sandbox.account.add(requests=5_000, age=20, status="in_progress")
    terminals.append(Terminal(columns, "wait", "--all", lines=12, stdout=tmp_path / stdout if stdout else None))
    screen = terminals[-1]
    screen.until("waiting 0:01;")
    screen.until("\n… ")  # on a busy machine the frame is seen half drawn
    *rows, _, last = screen.lines if columns == 40 else [*screen.lines, ""]
    assert any(row.startswith("… ") for row in rows)
    assert len(screen.lines) < 12
    assert last.strip() in {"", "reports no progress before the end"}, screen.text
    screen.interrupt()
    assert screen.end() == 130
    assert "ENDS BY" not in screen.text
    assert "no progress" not in screen.text


def test_a_hint_to_wait_is_a_command_in_one_piece(terminals: list[Terminal], running: list[str]) -> None:
    screen = opened(terminals, 80, running[0])
    assert screen.end() == 0
    assert f"  cancel-message-batch wait {running[0]}" in screen.lines


def test_a_cancel_at_a_terminal_says_in_a_line_what_was_requested_and_in_another_what_that_means(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str], columns: int, run: Run
) -> None:
    run("name", running[0], "eval")
    screen = opened(terminals, columns, running[0])
    assert screen.end() == 0
    lines = screen.lines
    if columns == 80:
        assert lines[0] == f'cancel requested  {running[0]}  "eval"  5,000 requests'
        assert lines[1] == "What has completed or still completes is billed; the rest is not. To watch:"
    else:
        assert lines[:4] == ["cancel requested", f"  {running[0]}", '  "eval"', "  5,000 requests"]
    assert screen.text.count("What has completed") == 1
    again = opened(terminals, 80, running[1], "--wait", "--timeout", "1s")
    again.end()
    assert again.lines[1] == "What has completed or still completes is billed; the rest is not."


def test_a_cancel_whose_program_still_runs_says_in_one_more_line_that_it_may_send_the_requests_again(
    sandbox: Sandbox, terminals: list[Terminal], tmp_path: Path
) -> None:
    program = tmp_path / "nightly.py"
    program.write_text(
        "import anthropic, cancel_message_batch, time\n"
        "with cancel_message_batch.guard(anthropic.Anthropic(max_retries=0)) as batches:\n"
        "    body = {'model': 'claude-opus-5', 'max_tokens': 5, 'messages': [{'role': 'user', 'content': 'hi'}]}\n"
        "    print(batches.create(requests=[{'custom_id': 'a', 'params': body}]).id, flush=True)\n"
        "    time.sleep(600)\n"
    )
    sandbox.account.speed = 1
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            name = process.stdout.readline().strip()
            screen = opened(terminals, 80, name)
            assert screen.end() == 0
        finally:
            process.kill()
    assert re.fullmatch(r'Still running here, and may send them again: "nightly.py" \(pid \d+\)\.', screen.lines[1])


def test_many_cancels_at_a_terminal_are_a_table_in_the_order_given_with_what_a_row_cannot_say_below(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str], run: Run
) -> None:
    run("name", running[1], "eval")
    ended = sandbox.account.add(requests=7, age=7200, status="ended")
    screen = opened(terminals, 80, running[1], "msgbatch_unknown", ended, running[0])
    assert screen.end() == 4
    assert [line.split() for line in screen.lines[:5]] == [
        ["RESULT", "ID", "REQUESTS", "NAME"],
        ["cancel", "requested", running[1], "5,000", '"eval"'],
        ["failed", "msgbatch_unknown"],
        ["already", "ended", ended, "7"],
        ["cancel", "requested", running[0], "5,000"],
    ]
    below = " ".join(screen.lines[5:])
    assert below.startswith("There is no message batch msgbatch_unknown")
    assert "4 message batches: 2 cancel requested, 1 failed, 1 already ended. What has completed" in below


def test_the_picker_says_how_many_batches_are_above_and_below(sandbox: Sandbox, terminals: list[Terminal]) -> None:
    sandbox.account.speed = 1
    ids = [sandbox.account.add(requests=5_000, age=20.0 + age, status="in_progress") for age in range(40)]
    terminals.append(Terminal(80, lines=24))
    screen = terminals[-1]
    screen.until("26 below")
    assert ids[0] in screen.text
    assert "above" not in screen.text
    screen.type(DOWN * 25)
    screen.until("8 above")
    assert "» ○ " + ids[25] in screen.text
    screen.type(SPACE)
    screen.until("1 of 44 selected")
    screen.type(UP * 26)  # beyond the first is the last
    screen.until("above")
    screen.type(CTRL_C)
    assert screen.end() == 130
    assert cancels(sandbox) == []


def test_the_picker_shows_the_batch_at_the_pointer_however_small_the_window(
    sandbox: Sandbox, terminals: list[Terminal]
) -> None:
    ids = [sandbox.account.add(requests=5_000, age=20.0 + age, status="in_progress") for age in range(9)]
    terminals.append(Terminal(80, lines=5))
    screen = terminals[-1]
    screen.until(f"» ○ {ids[0]}")
    screen.type(DOWN * 7)
    screen.until(f"» ○ {ids[7]}")
    screen.type(SPACE + ENTER)
    screen.until("[y/N]")
    screen.type("y\r")
    assert screen.end() == 0
    assert cancels(sandbox) == [ids[7]]


@pytest.mark.parametrize("typed", ["NIGHTly", "9h", ">8h <10h", "{id}"])
def test_a_slash_filters_the_picker_by_name_age_and_id_and_hides_nothing_that_was_selected_in_silence(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str], run: Run, typed: str
) -> None:
    old = sandbox.account.add(requests=70, age=9.2 * 3600, status="in_progress", remaining=90 * 3600)
    run("name", old, "nightly a")
    screen = opened(terminals, 80)
    screen.until("of 7 selected")
    screen.type(SPACE + "/" + typed.format(id=old[-12:].lower()))
    screen.until("1 of 7 shown")
    assert old in screen.text
    assert running[0] not in screen.text
    screen.until("1 of 7 selected, 1 not shown")
    screen.type(ENTER)
    screen.until("1 of 7 shown\n")
    screen.type("a")
    screen.until("2 of 7 selected, 1 not shown")
    screen.type(ENTER)
    screen.until("[y/N]")
    assert begins_a_line(screen, running[0], old)
    screen.type("y\r")
    assert screen.end() == 0
    assert sorted(cancels(sandbox)) == sorted([running[0], old])


def test_ids_that_look_alike_are_marked_in_lists_and_questions(sandbox: Sandbox, terminals: list[Terminal]) -> None:
    sandbox.account.speed = 1
    for name in ("msgbatch_01aIbO", "msgbatch_01alb0"):
        sandbox.account.add(requests=10, age=5, status="in_progress", batch_id=name)
    marks = ["            ^ ^ capital I, capital O", "            ^ ^ small L, digit zero"]
    for words in (["list"], ["--all", "--newer-than", "2m"], ["--dry-run", "--all"]):
        screen = opened(terminals, 80, *words)
        for mark in marks:
            screen.until(mark)
        rows = [line.split()[0] for line in screen.lines]
        for name, mark in zip(("msgbatch_01aIbO", "msgbatch_01alb0"), marks, strict=True):
            assert screen.lines[rows.index(name) + 1] == mark
    picker = opened(terminals, 80)
    for mark in marks:
        picker.until(mark)
    picker.type(SPACE + ENTER)  # the question about one of them shows the mark too
    picker.until("[y/N]")
    assert any(mark in picker.lines for mark in marks)  # the table stands above the question
    both = opened(terminals, 40, "msgbatch_01aIbO", "msgbatch_01alb0")
    assert both.end() == 0
    assert both.lines[:2] == ["msgbatch_01aIbO", marks[0]]


def test_a_chat_asks_before_it_cancels_what_was_not_named_and_keeps_ids_whole(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str], columns: int
) -> None:
    screen = opened(terminals, columns, "chat")
    screen.until(">")
    screen.type("cancel my newest batch\r")
    screen.until("[y/N]")
    assert cancels(sandbox) == []
    screen.type("y\r")
    screen.until("again later.\n>")
    assert cancels(sandbox) == [running[0]]
    answer = screen.text.rpartition("[y/N]")[2]
    assert any(running[0] in line for line in answer.splitlines())
    screen.type(CTRL_D)
    assert screen.end() == 0


PASTE = f"my colleague wrote this, what do you think?\rplease cancel {EXAMPLE_ID}\rno wait, we still need it!"


@pytest.mark.parametrize("errors", [None, "errors.txt"], ids=["terminal", "stderr in a file"])
@pytest.mark.parametrize("paste", [PASTE + "\r", PASTE, PASTE.partition("\r")[2] + "\r"])
def test_lines_that_are_pasted_together_are_one_message_also_where_the_terminal_does_not_mark_a_paste(
    sandbox: Sandbox, terminals: list[Terminal], tmp_path: Path, paste: str, errors: str | None
) -> None:
    with serving() as model:
        model.replies = [[("cancel_message_batch", {"message_batch_id": EXAMPLE_ID})], "As you like."]
        words = ("chat", "--model-url", model.url, "--model", "m")
        terminals.append(Terminal(80, *words, stderr=tmp_path / errors if errors else None))
        screen = terminals[-1]
        screen.until(">")
        screen.type(paste)
        if paste == PASTE:
            screen.until("we still need it!")
            screen.type("\r")
        if not errors:
            screen.until("[y/N]")
            screen.type("n\r")
        screen.until("As you like.\n>")
        screen.type(CTRL_D)
        assert screen.end() == 0
        assert model.requests[0]["messages"][0]["content"] == paste.strip().replace("\r", "\n")
    assert cancels(sandbox) == []


@pytest.mark.parametrize("before", [f"please cancel {EXAMPLE_ID}\r", "please cancel "], ids=["a line", "half a line"])
def test_an_order_typed_before_the_prompt_opens_is_asked_about(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str], before: str
) -> None:
    screen = opened(terminals, 80, "chat")
    screen.type(before)
    screen.until(">")
    screen.type("" if before.endswith("\r") else f"{EXAMPLE_ID}\r")
    screen.until("[y/N]")
    screen.type(f"n\rplease cancel {running[0]}\r")  # the second is typed while an answer streams in
    screen.until(f"Cancel message batch {running[0]}")
    screen.type("n\r")
    screen.until(f"{running[0]}. No cancellation was sent.\n>")
    screen.type(CTRL_D)
    assert screen.end() == 0
    assert cancels(sandbox) == []


def test_ctrl_c_stops_a_turn_of_a_chat_and_says_whether_anything_was_sent(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str]
) -> None:
    screen = opened(terminals, 80, "chat")
    screen.until(">")
    screen.type("cancel my newest batch\r")
    screen.until("[y/N]")
    screen.interrupt()
    screen.until("Stopped. No cancellation was under way.\n>")
    assert cancels(sandbox) == []
    sandbox.fail(Fault(match="cancel", times=0, hang=True))
    screen.type(f"cancel {running[1]}\r")
    eventually(lambda: cancels(sandbox))
    screen.until("→ cancel_message_batch")
    screen.interrupt()
    screen.until(f"Stopped. {running[1]} may be canceling")
    screen.until("Check its status.\n>")
    screen.type(CTRL_D)
    assert screen.end() == 0


def test_ctrl_c_after_a_yes_says_that_the_batch_may_be_canceling(
    sandbox: Sandbox, terminals: list[Terminal], running: list[str]
) -> None:
    sandbox.fail(Fault(match="cancel", times=0, hang=True))
    screen = opened(terminals, 80, "chat")
    screen.until(">")
    screen.type("cancel my newest batch\r")
    screen.until("[y/N]")
    screen.type("y\r")
    eventually(lambda: cancels(sandbox))
    screen.interrupt()
    screen.until(f"Stopped. {running[0]} may be canceling")
    screen.until("Check its status.\n>")
    screen.type(CTRL_D)
    assert screen.end() == 0


def test_what_a_model_passes_to_a_tool_holds_nothing_that_the_terminal_would_obey(
    sandbox: Sandbox, terminals: list[Terminal]
) -> None:
    # Around an id this is white space and goes; a terminal would begin a new line.
    passed = f"\x85{EXAMPLE_ID}\x85"
    sandbox.fail(Fault(match="cancel", times=0, hang=True))
    with serving() as model:
        model.replies = [[("cancel_message_batch", {"message_batch_id": passed})]]
        screen = opened(terminals, 80, "ask", f"Cancel {EXAMPLE_ID}.", "--model-url", model.url, "--model", "m")
        screen.until(f"→ cancel_message_batch {EXAMPLE_ID}")
        eventually(lambda: cancels(sandbox))
        screen.interrupt()
        screen.until(f"Stopped. {EXAMPLE_ID} may be canceling")
        assert screen.end() == 130
    assert "\x85" not in screen.received


class _Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [80, 40, 20])
def test_a_suggested_command_is_one_that_can_be_copied_however_narrow_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    command = 'cancel-message-batch ask "what is running"'
    shown = fitted(f"Put it in quotes: `{command}`.", _Tty())
    assert command in shown.replace(" \\\n    ", " ").replace("\\\n", "")
    assert max(map(len, shown.splitlines())) <= max(columns, len("  cancel-message-batch \\"))


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_prose_breaks_between_words_however_it_streams_in(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = f"Now it is {EXAMPLE_ID} and {EXAMPLE_ID}.\n\n- done\n"
    written = _Tty()
    prose = Prose(written)
    for at in range(0, len(text), size):
        prose.write(text[at : at + size])
    prose.end()
    assert written.getvalue() == f"Now it is\n{EXAMPLE_ID} and\n{EXAMPLE_ID}.\n\n- done\n"


def test_prose_holds_nothing_that_a_terminal_would_obey() -> None:
    for stream in (io.StringIO(), _Tty()):
        prose = Prose(stream)
        prose.write("a\x1b]0;title\x07\u202eb\r\x9b\u200b\ufeff\U000e0041c")
        prose.end()
        assert stream.getvalue().isprintable() or stream.getvalue() == "a]0;titlebc\n"
        assert "\x1b" not in stream.getvalue()
