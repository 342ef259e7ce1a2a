"""The picker: a person chooses a batch at the terminal."""

import sys
from collections.abc import Sequence

import questionary
from prompt_toolkit.output import create_output

from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.summary import facts

from .table import fits


def pick(batches: Sequence[MessageBatch]) -> str:
    """Let a person choose a batch with the arrow keys or by number; returns its id.

    Raises:
        KeyboardInterrupt: They chose none.
    """
    numbered = len(batches) <= 9
    detail = " {} {:>7,} {:>11}" if fits() else "\n      {} {:,}, {}"
    choices = [
        questionary.Choice(
            facts(batch).id + detail.format(facts(batch).status, facts(batch).requests, facts(batch).age),
            value=batch.id,
            shortcut_key=str(number) if numbered else None,
        )
        for number, batch in enumerate(batches, 1)
    ]
    chosen: str = questionary.select(
        "Cancel which message batch?" + (" (id, status, requests, age)" if fits() else ""),
        choices=choices,
        use_shortcuts=numbered,
        instruction="\n  arrow keys or number, Enter; Ctrl-C: none" if fits() else "\n  Enter; Ctrl-C: none",
        output=create_output(stdout=sys.stderr),  # standard output is for results, and may be a file
        erase_when_done=True,  # the outcome, printed next, repeats the id
    ).unsafe_ask()
    return chosen
