"""Outcomes and batches as printed results, and the exit codes that outcomes lead to."""

import sys
from collections.abc import Iterable, Sequence

from cancel_message_batch.api.errors import InvalidInputError, MessageBatchError
from cancel_message_batch.api.models import MessageBatch, message_batch_id_fault
from cancel_message_batch.tools import ToolOutcome

from .exit_codes import ExitCode
from .output import Output
from .registry import PROGRAM
from .table import block, size_and_age, table
from .terminal import copyable, interactive, width

FEW = 3  # ids that fit into a suggested command


def print_outcome(outcome: ToolOutcome, output: Output) -> None:
    """Print one outcome: a failure as a message, a batch as a result."""
    if outcome.is_error or outcome.batch is None:
        output.warn(outcome.text)
    elif output.json:
        output.print(outcome.batch.to_json())
    elif not output.quiet:
        output.tell(outcome.text)


def suggest(what: str, command: str, output: Output) -> None:
    """Show a person at a terminal what to type next."""
    if interactive() and not output.json:
        output.say(f"{what}:\n{copyable(f'{PROGRAM} {command}', width())}")


def suggest_results(ended: Iterable[MessageBatch], output: Output) -> None:
    """Show how the results of batches that have ended are saved, if there are any."""
    if ids := [batch.id for batch in ended if batch.results_url]:
        shown = " ".join(ids) if len(ids) <= FEW else "ID"
        suggest("To save the results", f"results {shown}", output)


def print_status(batch: MessageBatch, output: Output) -> None:
    """Print all that is known about a batch; with ``--quiet`` nothing."""
    if output.json:
        output.print(batch.to_json())
    elif not output.quiet:
        output.print(block(batch, sys.stdout))


def print_batches(batches: Iterable[MessageBatch], output: Output, *, described: bool = False) -> bool:
    """Print batches as they come; returns whether there were any. ``described`` adds a tab, size and age to ids."""
    printed = False
    if output.json:
        lines: Iterable[str] = (batch.to_json() for batch in batches)
    elif output.quiet:
        # Shells and scripts take each line for an id, so nothing else may stand there.
        ids = (batch for batch in batches if not message_batch_id_fault(batch.id))
        lines = (f"{batch.id}\t{size_and_age(batch)}" if described else batch.id for batch in ids)
    else:
        lines = table(batches, sys.stdout)
    for line in lines:
        output.print(line)
        printed = True
        if output.closed:
            break
    return printed


def exit_code(outcome: ToolOutcome) -> ExitCode:
    """Return the exit code for one outcome."""
    if outcome.error is not None:
        return error_code(outcome.error)
    return ExitCode.NOTHING_TO_CANCEL if outcome.result == "already_ended" else ExitCode.DONE


def error_code(error: MessageBatchError) -> ExitCode:
    """Return the exit code for an error."""
    return ExitCode.USAGE if isinstance(error, InvalidInputError) else ExitCode.FAILED


def combined(codes: Sequence[ExitCode]) -> ExitCode:
    """Combine the codes of several batches: the same one if they agree, PARTLY if any is DONE, else the gravest."""
    different = set(codes) or {ExitCode.DONE}
    if len(different) == 1:
        return different.pop()
    if ExitCode.DONE in different:
        return ExitCode.PARTLY
    order = (ExitCode.FAILED, ExitCode.USAGE, ExitCode.NOTHING_TO_CANCEL, ExitCode.TIME_UP, ExitCode.PARTLY)
    return next(code for code in order if code in different)
