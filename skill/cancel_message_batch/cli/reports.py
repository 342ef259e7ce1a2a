"""Reports on batches: the outcome of a call, a status, a listing, and what to type next."""

import sys
from collections.abc import Iterable, Sequence

from cancel_message_batch.api.models import MessageBatch, message_batch_id_fault
from cancel_message_batch.tools import ToolOutcome

from .output import Output
from .registry import PROGRAM
from .table import block, table
from .terminal import copyable, interactive, width

_FEW = 3  # ids that fit into a suggested command


def print_outcome(outcome: ToolOutcome, output: Output) -> None:
    """Print one outcome: a failure as a message, a batch as a result."""
    if outcome.is_error or outcome.batch is None:
        output.warn(outcome.text)
    elif output.json:
        output.print(outcome.batch.to_json())
    elif not output.quiet:
        output.print_prose(outcome.text)


def print_status(batch: MessageBatch, output: Output) -> None:
    """Print all that is known about a batch; with ``--quiet`` nothing."""
    if output.json:
        output.print(batch.to_json())
    elif not output.quiet:
        output.print(block(batch, sys.stdout))


def print_batches(batches: Iterable[MessageBatch], output: Output) -> None:
    """Print batches as they come."""
    if output.json:
        lines: Iterable[str] = (batch.to_json() for batch in batches)
    elif output.quiet:  # shells and scripts read each line as an id
        lines = (batch.id for batch in batches if not message_batch_id_fault(batch.id))
    else:
        lines = table(batches, sys.stdout)
    for line in lines:
        output.print(line)
        if output.closed:
            break


def suggest_wait(running: Sequence[str], output: Output) -> None:
    """Show a person how to wait until batches have stopped, if there are any."""
    some = f"wait {' '.join(running)}"
    many = f"list --status canceling --limit 0 --quiet | {PROGRAM} wait -"
    _suggest("To wait until stopped", some if len(running) <= _FEW else many, output, needed=bool(running))


def suggest_results(ended: Iterable[MessageBatch], output: Output) -> None:
    """Show a person how to save the results of batches that have ended, if there are any."""
    ids = [batch.id for batch in ended if batch.results_url]
    command = f"results {' '.join(ids) if len(ids) <= _FEW else 'ID'}"
    _suggest("To save the results", command, output, needed=bool(ids))


def _suggest(what: str, command: str, output: Output, *, needed: bool) -> None:
    if needed and interactive() and not output.json:
        output.say(f"{what}:\n{copyable(f'{PROGRAM} {command}', width())}")
