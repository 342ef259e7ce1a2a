"""``cancel-message-batch wait ID …``: wait until batches have ended."""

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cancel_message_batch.cli.arguments import add_batches, add_connection, open_batches
from cancel_message_batch.cli.exit_codes import NONE_LIKE_THAT, ExitCode, Interrupted, combined, error_code
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command

if TYPE_CHECKING:  # --help needs none of them
    from cancel_message_batch.api.client import MessageBatches
    from cancel_message_batch.api.models import MessageBatch
    from cancel_message_batch.batches.waiting import Wait


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_batches(parser, every="every batch of the workspace that has not ended")
    add_connection(parser)


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    from cancel_message_batch.cli.selection import matching, read_ids

    ids = read_ids(given, "wait")
    with open_batches(given, waiting=True) as batches:
        seen = list(matching(batches, given, output, "in_progress", "canceling")) if given.all else []
        waited = ids or [batch.id for batch in seen]
        return wait_for(batches, waited, timeout=given.timeout, output=output, seen=seen) if waited else ExitCode.DONE


def wait_for(
    batches: "MessageBatches",
    ids: Sequence[str],
    *,
    timeout: float | None,
    output: Output,
    seen: "Sequence[MessageBatch]" = (),
    saves: bool = False,
) -> ExitCode:
    """Wait until batches have ended, at most ``timeout`` seconds; show how it goes, and report each.

    ``seen`` are the batches if they have just been looked up; a caller that ``saves`` the results needs no hint how to.
    """
    from cancel_message_batch.batches.waiting import Wait
    from cancel_message_batch.cli.progress import live_lines
    from cancel_message_batch.cli.reports import FEW, print_ended, suggest_results, waiting_table
    from cancel_message_batch.words import failures, states

    wait, began = Wait(batches, ids, seen), time.monotonic()
    interrupted = False
    shown: dict[str, str] = {}

    def picture() -> tuple[Iterable[str], str]:
        pending = wait.pending
        rows = waiting_table([(name, wait.found.get(name)) for name in pending], sys.stderr)
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        lost = f", {len(wait.failed):,} failed" if wait.failed else ""
        so_far = f"{len(ids) - len(pending) - len(wait.failed):,} of {len(ids):,} ended{lost}"
        below = f"{so_far}, waiting {minutes}:{seconds:02d}; the API reports no progress before the end"
        return rows, f"{below}\ntrying again: {wait.trouble.brief}" if wait.trouble else below

    try:
        with live_lines(picture, quiet=output.quiet):
            for _ in wait.looks(timeout):
                shown = _show_changes(wait, shown, output)
    except KeyboardInterrupt:
        interrupted = True
    for text in dict.fromkeys(failures.failed(error, "get", name) for name, error in wait.failed.items()):
        output.warn(text)
    ended = [wait.found[name] for name in ids if name in wait.found and wait.found[name].ended]
    for batch in () if saves and not output.json else ended:  # the report of the results says the same
        print_ended(batch, output)
    if not saves:
        suggest_results(ended, output)
    if wait.pending:
        why = "Interrupted" if interrupted else "The time is up"
        trouble = wait.trouble.brief if wait.trouble else ""
        left = states.not_ended(
            why, wait.pending, seen=wait.found, trouble=trouble, at_most=FEW if sys.stderr.isatty() else None
        )
        output.warn(f"{left} Or run the same command, which then saves the results." if saves else left)
    if interrupted:
        raise Interrupted
    if wait.pending:
        return ExitCode.TIME_UP
    return combined([*map(error_code, wait.failed.values()), *(ExitCode.DONE for _ in ended)])


def _show_changes(wait: "Wait", shown: dict[str, str], output: Output) -> dict[str, str]:
    """Show a line for each status that has changed, if there is no terminal; return what is shown now."""
    from cancel_message_batch.words.facts import facts

    now = {facts(batch).id: facts(batch).status for batch in wait.found.values()}
    now["trying again:"] = wait.trouble.brief if wait.trouble else ""
    for what, status in now.items():
        if status and shown.get(what) != status and not sys.stderr.isatty():
            output.say(f"{what} {status}")
    return now


COMMAND = Command(
    name="wait",
    about="Wait until batches have ended. The batches keep running when you stop it: run it again any time.",
    examples=(
        "cancel-message-batch wait msgbatch_013Zva2CMHLNnXjNJJKqJ2EF",
        "cancel-message-batch wait ID ID --timeout 1h",
        "cancel-message-batch wait --all",
    ),
    arguments=_arguments,
    run=_run,
    completes="any",
    exits={3: NONE_LIKE_THAT, 4: "some have ended, and others could not be looked up", 5: "the time ran out"},
)
