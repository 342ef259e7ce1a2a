"""``cancel-message-batch run -- COMMAND …``: run a command, and cancel the batches it created if it fails."""

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cancel_message_batch.cli.exit_codes import UsageError
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import PROGRAM, Command
from cancel_message_batch.cli.terminal import width, wrapped

if TYPE_CHECKING:  # --help needs none of it
    from cancel_message_batch.guarding.created import Created
    from cancel_message_batch.record.store import Record

_DEADLINE = 10.0  # seconds after the command's end
_FOR_CREATES = 5.0  # of these: for creates that have no response yet
_LAST_MOMENT = 0.2  # of these: to report which cancels got no response


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = wrapped(f"{parser.prog} [options] -- COMMAND ...", width() - 7, indent=" " * 7)
    parser.add_argument("--name", default="", help="the name that the batches get on this machine")
    parser.add_argument("--keep", action="store_true", help="cancel nothing, only say what is left running")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="after --: the command and its arguments")


def _run(given: argparse.Namespace, output: Output) -> int:
    command: list[str] = given.command
    if not command:
        raise UsageError(f"which command? For example: `{PROGRAM} run -- python nightly.py`")
    from cancel_message_batch.api.credentials import origin, program_base_url
    from cancel_message_batch.api.errors import InvalidInputError, clean
    from cancel_message_batch.guarding.child import NOT_EXECUTABLE, NOT_FOUND, Child, ended_by
    from cancel_message_batch.guarding.relay import Relay
    from cancel_message_batch.record.names import clean_name
    from cancel_message_batch.record.processes import Process
    from cancel_message_batch.record.store import KnownBatch, open_record
    from cancel_message_batch.words import programs

    try:
        name = clean_name(given.name)
    except InvalidInputError as error:
        raise UsageError(f"{error}. Nothing was run.") from None
    record = open_record(output.warn)
    if name and record.path is None:
        output.warn("The record is turned off, so the name is not kept.")

    def note(batch: "Created") -> None:
        about = (origin(batch.base_url), process, batch.workspace, name or None, batch.requests or None)
        record.add_creation(KnownBatch(batch.message_batch_id, *about), "run")

    with Relay(program_base_url(), note) as relay, Child(command, _environment(relay.url)) as child:
        try:
            started = child.start()
        except OSError as error:
            output.warn(f"{PROGRAM} run: {clean(command[0])} cannot be run ({error.strerror}).")
            return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        process = Process.of(started.pid, _program(command))
        relay.start()
        code = started.wait()
        end = time.monotonic() + _DEADLINE
        if held := relay.stop(_FOR_CREATES):
            output.warn(programs.connections_held(held))
        for lost in relay.lost:
            output.warn(programs.creation_lost(lost.began, lost.requests))
        record.note_ended(name for name, batch in relay.created.items() if batch.status == "ended")
        left = [batch for batch in relay.created.values() if batch.status != "ended"]
        if code and left:
            how = f"{clean(_program(command))} {ended_by(code)}"
            output.warn(programs.command_failed(how, [batch.message_batch_id for batch in left], keep=given.keep))
            if not given.keep:
                _cancel(left, end, record, output)
    return code if code >= 0 else 128 - code


def _environment(url: str) -> dict[str, str]:
    """Return the environment in which a program talks to the API through us, and to us without a proxy."""
    environment = {**os.environ, "ANTHROPIC_BASE_URL": url}
    without = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if without != "*" and any(name.lower().endswith("_proxy") for name in os.environ):
        environment |= dict.fromkeys(("no_proxy", "NO_PROXY"), f"{without},127.0.0.1".lstrip(","))
    return environment


def _program(command: Sequence[str]) -> str:
    """Return the name of a program and of the script it runs; other arguments may hold secrets."""
    script = next((word for word in command[1:] if os.path.isfile(word)), "")
    return " ".join(os.path.basename(word) for word in (command[0], script) if word)


def _cancel(left: "Sequence[Created]", end: float, record: "Record", output: Output) -> None:
    """Cancel batches until the deadline, whatever signals come; say what became of each, and note it."""
    import anyio

    from cancel_message_batch.api.credentials import connection_with
    from cancel_message_batch.api.retries import RetryPolicy
    from cancel_message_batch.batches.canceling import Progress, cancel_many, client_for_many
    from cancel_message_batch.cli.recording import note_cancels
    from cancel_message_batch.tools import sorted_outcomes
    from cancel_message_batch.words import programs

    progress = Progress()
    canceling = [batch.message_batch_id for batch in left if batch.status == "canceling"]
    running = [batch.message_batch_id for batch in left if batch.status != "canceling"]
    alike = defaultdict(list)  # by the command's credentials: ours may be missing, or of another workspace
    for batch in left:
        if batch.status != "canceling":
            alike[batch.base_url, tuple(batch.headers.items())].append(batch.message_batch_id)

    async def cancel(base_url: str, headers: tuple[tuple[str, str], ...], ids: list[str]) -> None:
        policy = RetryPolicy(timeout=max(end - time.monotonic() - _LAST_MOMENT, _LAST_MOMENT))
        async with client_for_many(connection_with(base_url, dict(headers))) as client:
            await cancel_many(client, ids, lambda _outcome: None, policy=policy, progress=progress)

    async def cancel_all() -> None:
        with anyio.move_on_after(end - time.monotonic()):
            async with anyio.create_task_group() as tasks:
                for (base_url, headers), ids in alike.items():
                    tasks.start_soon(cancel, base_url, headers, ids)

    anyio.run(cancel_all)
    stopped, ended, failed = sorted_outcomes(running, progress.outcomes, progress.sent)
    output.warn(programs.program_left(canceling + stopped, ended, failed))
    record.note_ended(ended)
    # The record has warned already if it cannot be used.
    note_cancels({name: progress.outcomes.get(name) for name in progress.sent}, lambda _: None, through="run")


COMMAND = Command(
    name="run",
    about=(
        "Run a command with ANTHROPIC_BASE_URL set to a proxy on this machine. The proxy passes the command's requests "
        "and credentials on to the API and notes the batches it creates. If the command fails, is interrupted or loses "
        "its terminal, those that have not ended are canceled. No other batch is touched. The exit code is that of the "
        "command: 128 plus the signal's number if a signal ended it, 127 if there is no such command, 126 if it cannot "
        "be run."
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
