"""``cancel-message-batch run -- COMMAND …``: run a command, and cancel the batches it created if it fails."""

import argparse
import functools
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from cancel_message_batch.cli.arguments import parse_duration, parse_port
from cancel_message_batch.cli.exit_codes import ExitCode, UsageError
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import PROGRAM, Command
from cancel_message_batch.cli.terminal import width, wrapped

if TYPE_CHECKING:  # --help needs none of it
    from cancel_message_batch.guarding.child import Child
    from cancel_message_batch.guarding.created import Created
    from cancel_message_batch.guarding.journal import CommandJournal
    from cancel_message_batch.guarding.relay import Relay
    from cancel_message_batch.record.store import Record

_QUIETLY = 5.0  # seconds to wait for creates that have no response yet before that is said
_FOR_LATE_ONES = 5.0  # seconds before the deadline: to cancel what they created
_LAST_MOMENT = 0.2  # seconds before the deadline: to report which cancels got no response
_AFTER_CTRL_C = 1.0  # seconds that cancels under way then have for their responses


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = wrapped(f"{parser.prog} [options] -- COMMAND ...", width() - 7, indent=" " * 7)
    parser.add_argument("--name", default="", help="the name that the batches get on this machine")
    parser.add_argument("--keep", action="store_true", help="cancel nothing, only say what is left running")
    text = "give up on canceling this long after the command's end (default: 60s)"
    parser.add_argument("--deadline", type=parse_duration, default=60.0, metavar="TIME", help=text)
    text = (
        "keep the proxy's address the same each time, for programs that store it with a batch; while no `run` is at "
        "that address, nothing answers there"
    )
    parser.add_argument("--port", type=parse_port, default=0, metavar="N", help=text)
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="after --: the command and its arguments")


def _run(given: argparse.Namespace, output: Output) -> int:
    command: list[str] = given.command
    if not command:
        raise UsageError(f"which command? For example: `{PROGRAM} run -- python nightly.py`")
    if not given.deadline:
        raise UsageError("--deadline 0 leaves no time to cancel. Use --keep to cancel nothing")
    from cancel_message_batch.api.credentials import program_base_url
    from cancel_message_batch.api.errors import InvalidInputError, clean
    from cancel_message_batch.guarding.child import NOT_EXECUTABLE, NOT_FOUND, Child, end_of
    from cancel_message_batch.guarding.environment import StandIns, environment
    from cancel_message_batch.guarding.journal import CommandJournal
    from cancel_message_batch.guarding.relay import Relay
    from cancel_message_batch.record.names import clean_name
    from cancel_message_batch.record.processes import Process
    from cancel_message_batch.record.store import open_record
    from cancel_message_batch.words import programs

    try:
        name = clean_name(given.name)
    except InvalidInputError as error:
        raise UsageError(f"{error}. Nothing was run.") from None
    record = open_record(output.warn)
    if name and record.path is None:
        output.warn("The record is turned off, so the name is not kept.")
    journal, stand_ins, base_url = CommandJournal(record, name), StandIns(), program_base_url()
    token = _lasting_token(record, output) if given.port else ""
    try:
        listening = Relay(base_url, journal.note, stand_ins=stand_ins.real, port=given.port, token=token)
    except OSError as error:
        output.warn(f"Port {given.port} cannot be used: {error.strerror}. Nothing was run.")
        return ExitCode.FAILED
    with listening as relay, Child(command, environment(relay.url, base_url, stand_ins)) as child:
        try:
            pid = child.start()
        except OSError as error:
            output.warn(f"{PROGRAM} run: {clean(command[0])} cannot be run ({error.strerror}).{_unquoted(command)}")
            return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        journal.process = Process.of(pid, _program(command))
        relay.start()
        child.wait()
        note_end = functools.partial(journal.end, end_of(child.code), child.interrupted)
        left_on_purpose = given.keep or (child.code == 0 and not child.interrupted)
        if left_on_purpose:
            note_end(well=True)  # at once: we may be killed too
        failed = _finish(given, child, relay, journal, output)
        if not relay.finish_notes(_for_record(given), lambda: left_on_purpose or note_end(well=not failed)):
            output.warn(programs.record_too_slow())
    return child.code if child.code >= 0 else 128 - child.code


def _lasting_token(record: "Record", output: Output) -> str:
    """Return the token that repeats from run to run; empty if it cannot be kept, which is said."""
    from cancel_message_batch.guarding.environment import lasting_token

    token, fault = lasting_token(record.path)
    if fault:
        output.warn(f"{fault} So the proxy's address is a new one each time, although its port is the same.")
    return token


def _finish(
    given: argparse.Namespace, child: "Child", relay: "Relay", journal: "CommandJournal", output: Output
) -> bool:
    """Cancel what a command has left running, if it failed, and say so. Returns whether it failed."""
    from cancel_message_batch.words import programs

    relay.end_of_command()
    end = time.monotonic() + given.deadline - _for_record(given)
    known = _wait_for_creates(given, child, relay, journal, output, end)
    held = relay.stop(0)
    if (processes := child.left_running(relay.url)) or held:
        output.warn(programs.left_by_command(processes, held))
    for lost in relay.lost:
        output.warn(programs.creation_lost(lost.began, lost.requests))
    left = [batch for batch in relay.created.values() if batch.status != "ended" and batch not in known]
    kept = [batch.message_batch_id for batch in left if batch.kept]
    if kept and (child.code or child.interrupted):
        output.warn(programs.program_keeps(sorted(kept)))
    left = [batch for batch in left if not batch.kept]
    later = [batch for batch in left if _came_later(batch, child)]
    left = [batch for batch in left if batch not in later]
    for batch in later:
        batch.kept = True
    running = [batch.message_batch_id for batch in left if batch.status != "canceling"]
    failed = bool(child.code or (child.interrupted and (running or known)))
    how = _how(given, child)
    if ids := [batch.message_batch_id for batch in later if batch.status != "canceling"]:
        output.warn(programs.not_canceled(how, ids, why="created after the interruption"))
    if failed and left and not given.keep:
        output.warn(programs.command_failed(how, len(left)))
        _cancel(left, end, journal, output, child.interrupted_again)
    elif running and (failed or sys.stderr.isatty()):  # a full screen reads Ctrl-C as a key, and nobody else sees it
        output.warn(programs.not_canceled(how, running, why="--keep" if given.keep else ""))
    elif (child.code or child.interrupted) and not relay.requests:
        output.warn(programs.nothing_came_through(how, stand_in=bool(relay.stand_ins)))
    return failed


def _wait_for_creates(  # noqa: PLR0917 - the parts of one run
    given: argparse.Namespace,
    child: "Child",
    relay: "Relay",
    journal: "CommandJournal",
    output: Output,
    end: float,
) -> "list[Created]":
    """Wait for the creates under way. If that takes long, say so, and cancel what else is running; returns that."""
    from cancel_message_batch.words import programs

    waiting = relay.wait(min(_QUIETLY, given.deadline / 2), child.interrupted_again)
    if not waiting:
        return []
    last, known = end - min(_FOR_LATE_ONES, given.deadline / 2), []
    output.warn(programs.awaiting(waiting, max(last - time.monotonic(), 0)))
    if (child.code or child.interrupted) and not given.keep:
        running = [batch for batch in list(relay.created.values()) if batch.status == "in_progress"]
        known = [batch for batch in running if not batch.kept and not _came_later(batch, child)]
    if known:
        output.warn(programs.command_failed(_how(given, child), len(known)))
        _cancel(known, end, journal, output, child.interrupted_again)
    relay.wait(last - time.monotonic(), child.interrupted_again)
    return known


def _for_record(given: argparse.Namespace) -> float:
    """Return how many seconds of the deadline are for the record: it may be locked, or its disk slow."""
    return min(float(given.deadline) / 10, 1.0)


def _how(given: argparse.Namespace, child: "Child") -> str:
    """Say how the command ended."""
    from cancel_message_batch.api.errors import clean
    from cancel_message_batch.guarding.child import end_of
    from cancel_message_batch.words import programs

    return programs.command_ended(clean(_program(given.command)), end_of(child.code), child.interrupted)


def _came_later(batch: "Created", child: "Child") -> bool:
    """Return whether a command created a batch after it had survived an interruption, and ended well: it was meant."""
    return bool(child.interrupted and not child.code and batch.moment > child.interrupted_at)


def _unquoted(command: Sequence[str]) -> str:
    """Return what to type where a whole command line was given as one word."""
    from cancel_message_batch.api.errors import clean

    whole = len(command) == 1 and " " in command[0].strip()
    return f" Without the quotes: `{PROGRAM} run -- {clean(command[0])}`" if whole else ""


def _program(command: Sequence[str]) -> str:
    """Return the name of a program and of the script it runs; other arguments may hold secrets."""
    script = next((word for word in command[1:] if os.path.isfile(word)), "")
    return " ".join(os.path.basename(word) for word in (command[0], script) if word)


def _cancel(
    left: "Sequence[Created]", end: float, journal: "CommandJournal", output: Output, given_up: Callable[[], bool]
) -> None:
    """Cancel batches until the deadline, or shortly after the person gives up; say what became of each."""
    import anyio

    from cancel_message_batch.api.credentials import connection_with
    from cancel_message_batch.api.errors import MessageBatchError
    from cancel_message_batch.api.retries import RetryPolicy
    from cancel_message_batch.batches.canceling import Progress, cancel_many, client_for_many
    from cancel_message_batch.tools import sorted_outcomes
    from cancel_message_batch.words import programs

    progress = Progress()
    canceling = [batch.message_batch_id for batch in left if batch.status == "canceling"]
    running = [batch for batch in left if batch.status != "canceling"]
    alike = defaultdict(list)  # by the command's credentials: ours may be missing, or of another workspace
    for batch in running:
        alike[batch.base_url, tuple(batch.headers.items())].append(batch.message_batch_id)
    said: set[str] = set()

    def waiting(error: MessageBatchError, _pause: float) -> None:
        if str(error) not in said:
            said.add(str(error))
            output.warn(programs.still_trying(error.brief, end - time.monotonic()))

    async def cancel(base_url: str, headers: tuple[tuple[str, str], ...], ids: list[str]) -> None:
        timeout = max(end - time.monotonic() - _LAST_MOMENT, _LAST_MOMENT)
        policy = RetryPolicy(timeout=timeout, max_retries=sys.maxsize, on_pause=waiting)
        async with client_for_many(connection_with(base_url, dict(headers))) as client:
            await cancel_many(
                client, ids, lambda _outcome: None, policy=policy, progress=progress, notes=journal.cancels
            )

    async def watch(scope: anyio.CancelScope) -> None:
        while not given_up():  # noqa: ASYNC110 - signals are held back, and wake nobody
            await anyio.sleep(0.05)
        scope.deadline = min(scope.deadline, anyio.current_time() + _AFTER_CTRL_C)

    async def cancel_all() -> None:
        with anyio.move_on_after(end - time.monotonic()) as scope:
            async with anyio.create_task_group() as watching:
                watching.start_soon(watch, scope)
                async with anyio.create_task_group() as tasks:
                    for (base_url, headers), ids in alike.items():
                        tasks.start_soon(cancel, base_url, headers, ids)
                watching.cancel_scope.cancel()

    anyio.run(cancel_all)
    ids = (batch.message_batch_id for batch in running)
    stopped, ended, failed = sorted_outcomes(ids, progress.outcomes, progress.sent, progress.last_errors())
    output.warn(programs.program_left(canceling + stopped, ended, failed))
    _remember(running, ended, failed)


def _remember(canceled: "Sequence[Created]", ended: Collection[str], failed: Collection[str]) -> None:
    """Keep with each batch what came of its cancel, for the record."""
    for batch in canceled:
        batch.not_canceled = batch.message_batch_id in failed
        if not batch.not_canceled:
            batch.status = "ended" if batch.message_batch_id in ended else "canceling"


COMMAND = Command(
    name="run",
    about=(
        "Run a command with ANTHROPIC_BASE_URL set to a proxy on this machine. The proxy passes the command's "
        "requests on to the API and notes the batches it creates. If the command fails, those that have not ended are "
        "canceled. Ctrl-C, SIGTERM or a lost terminal is a failure, whatever the exit code; with exit code 0, only "
        "what was created before it is canceled. After exit code 0 without such a signal, they are left running. No "
        "other batch is touched. The API key in the command's environment is a stand-in, which only the proxy can "
        "use. The exit code is that of the command: 128 plus the signal's number if a signal ended it, 127 if there "
        "is no such command, 126 if it cannot be run."
    ),
    examples=(
        "cancel-message-batch run -- python nightly.py",
        'cancel-message-batch run --name "nightly eval v3" -- node eval.mjs --all',
        "cancel-message-batch run --keep -- ./submit.sh  # only say what is left running",
    ),
    arguments=_arguments,
    run=_run,
    exits=None,
)
