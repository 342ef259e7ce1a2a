"""``cancel-message-batch ID …``: cancel batches."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cancel_message_batch.cli.arguments import add_batches, add_connection, add_resending, open_batches
from cancel_message_batch.cli.exit_codes import ExitCode, Interrupted, UsageError, combined, exit_code
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import PROGRAM, Command
from cancel_message_batch.cli.terminal import has_own_terminal, interactive

if TYPE_CHECKING:  # --help needs none of them
    from cancel_message_batch.api.client import MessageBatches
    from cancel_message_batch.api.models import MessageBatch
    from cancel_message_batch.cli.selection import Ids
    from cancel_message_batch.tools import ToolOutcome


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_batches(parser, every="every batch of the workspace that is in progress")
    parser.add_argument("--dry-run", action="store_true", help="show what would be canceled, but cancel nothing")
    parser.add_argument(
        "--yes",
        "-y",
        action="store_true",
        help="do not ask; without a terminal, --all and several ids from standard input need it",
    )
    parser.add_argument("--reason", metavar="TEXT", help="why you cancel; kept on this machine, and shown by `history`")
    parser.add_argument("--wait", action="store_true", help="wait until the batches have stopped")
    parser.add_argument("--results", metavar="DIR", help="with --wait: then save their results below DIR")
    add_resending(parser, only="with --results: ")
    add_connection(parser)


def _check(given: argparse.Namespace, ids: "Ids") -> None:
    """Refuse, before any request, flags that conflict, and a question that nobody is there to answer."""
    if given.results is not None and (not given.wait or given.dry_run):
        raise UsageError("--results needs --wait: results exist once a batch has ended")
    for flag in ("requests", "retry"):
        if getattr(given, flag) is not None and given.results is None:
            raise UsageError(f"--{flag} needs --results DIR, which needs --wait")
    if given.reason is not None and given.dry_run:
        raise UsageError("--reason does not go with --dry-run, which cancels nothing")
    if _asks_about_found(given, ids) and not has_own_terminal():
        raise UsageError(
            f"{ids.found:,} ids on standard input need a yes, and there is no terminal to ask in. "
            "--dry-run shows what would be canceled"
        )
    if interactive():
        return
    if given.all and not (given.yes or given.dry_run):
        raise UsageError("--all asks first, and there is no terminal to ask in. --dry-run shows what it would stop")
    if not given.all and not ids:
        raise UsageError(f"which batch? Give its ID; `{PROGRAM} list --status in_progress` shows the running ones")


def _asks_about_found(given: argparse.Namespace, ids: "Ids") -> bool:
    """Return whether to ask: what was typed is an order, and so is one id alone; the others may come from anywhere."""
    return ids.found > 1 and not given.yes and not given.dry_run


def _chosen(
    batches: "MessageBatches", given: argparse.Namespace, ids: "Ids", output: Output
) -> "tuple[Sequence[str], Sequence[MessageBatch], dict[str, ToolOutcome]]":
    """Return the ids to cancel, their batches if they are known already, and the outcomes of looks that failed."""
    from cancel_message_batch.cli.selection import choose, confirm_found

    if _asks_about_found(given, ids):
        chosen, failed = confirm_found(batches, ids, output)
        return chosen, (), failed
    known = () if ids else choose(batches, given, output)
    return ids or [batch.id for batch in known], known, {}


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    from cancel_message_batch.cli.cancellation import cancel, dry_run
    from cancel_message_batch.cli.recording import say_where_known
    from cancel_message_batch.cli.reports import explain, suggest_results
    from cancel_message_batch.cli.selection import read_ids
    from cancel_message_batch.record.cancels import CancelNotes
    from cancel_message_batch.record.names import record_path

    ids = read_ids(given, "cancel")
    _check(given, ids)
    options = None
    if given.results is not None:  # a requests file is checked before anything is canceled
        from cancel_message_batch.cli.saving import options_of, save_all

        options = options_of(given.requests, given.retry, output, directory=given.results)
    if given.reason is not None and record_path() is None:
        output.warn("The record is turned off, so the reason is not kept.")
    consent = "named" if ids and ids.found <= 1 else "--yes" if given.yes else "yes"
    notes = CancelNotes("command line", consent=consent, words=given.reason, warn=output.warn)
    with open_batches(given, waiting=given.wait) as batches:
        try:
            chosen, known, unknown = _chosen(batches, given, ids, output)
            if given.dry_run and chosen:
                return dry_run(batches, chosen, known, output)
        except KeyboardInterrupt:
            output.warn("\nInterrupted. Nothing was canceled.")
            raise Interrupted from None
        codes = [exit_code(outcome) for outcome in unknown.values()]
        say_where_known(unknown, batches, output)
        if not chosen:
            return combined(codes)
        outcomes = cancel(batches, chosen, timeout=None if given.wait else given.timeout, output=output, notes=notes)
        codes += [exit_code(outcome) for outcome in outcomes.values()]
        if options:  # the results of a batch that had ended before are saved too
            codes = [ExitCode.DONE if code == ExitCode.NOTHING_TO_CANCEL else code for code in codes]
        code = combined(codes)
        answered = {name: outcome.batch for name, outcome in outcomes.items() if outcome.batch}
        running = [name for name, batch in answered.items() if not batch.ended]
        explain(list(outcomes.values()), output, waits=given.wait)
        if given.wait and running:
            from cancel_message_batch.cli.commands.wait import wait_for

            waited = wait_for(batches, running, timeout=given.timeout, output=output, saves=bool(options))
            code = waited if waited != ExitCode.DONE else code
        if options and answered and not (code == ExitCode.TIME_UP and len(chosen) == 1):
            saved = save_all(batches, list(answered), Path(given.results), options, output)
            return saved if code == ExitCode.DONE else combined([code, saved])
    if not (given.wait and running):
        suggest_results([batch for batch in answered.values() if batch.ended], output)
    return code


COMMAND = Command(
    name="cancel",
    about=(
        "Cancel Anthropic Message Batches. Cancellation is not immediate. What has completed, or still completes, is "
        "billed, and its results are kept; what had not started is not billed."
    ),
    examples=(
        "cancel-message-batch  # choose among the running batches",
        "cancel-message-batch msgbatch_013Zva2CMHLNnXjNJJKqJ2EF",
        "cancel-message-batch ID ID --wait --timeout 30m",
        "cancel-message-batch --all --older-than 2h --dry-run",
        "cancel-message-batch --all --named 'nightly*'",
        'cancel-message-batch ID --reason "wrong prompt"',
        "cancel-message-batch ID --wait --results DIR --requests FILE --retry all",
        "cancel-message-batch list --status in_progress",
        'cancel-message-batch ask "cancel my newest batch"',
    ),
    arguments=_arguments,
    run=_run,
    completes="running",
    exits={
        1: "the API or the network failed, or a cancellation is not confirmed",
        3: "nothing was canceled: the batch had already ended, --named or --mine match none, or you said no",
        4: "partly done",
        5: "--wait: the time ran out",
    },
)
