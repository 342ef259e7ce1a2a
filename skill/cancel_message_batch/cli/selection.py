"""The batches that a command is about: named by id, found by filters, or picked by a person."""

import argparse
import sys
from collections.abc import Sequence

from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.models import MessageBatch

from .ids import read_ids
from .output import Output
from .table import table
from .terminal import confirm


def choose(
    batches: MessageBatches, given: argparse.Namespace, output: Output
) -> tuple[Sequence[str], Sequence[MessageBatch]]:
    """Find out which batches to cancel, and ask a person where the arguments leave it open.

    Returns:
        Their ids, and the batches themselves where they had to be looked up.
    """
    if ids := read_ids(given.ids):
        return ids, ()
    from cancel_message_batch.batches.selection import Filters, in_progress  # ids need none of it

    filters = Filters(given.older_than, given.newer_than, given.at_least)
    known = in_progress(batches, filters)
    ids = [batch.id for batch in known]
    if not known:
        output.say(f"No message batch{' like that' if filters else ''} is in progress: there is nothing to cancel.")
    elif given.dry_run:
        pass
    elif not given.all:
        from .picker import pick  # loads prompt_toolkit

        ids = [pick(known)]
    elif not given.yes:
        output.show(table(known, sys.stderr))
        many = f"these {len(ids)} message batches" if len(ids) > 1 else "this message batch"
        if not confirm(f"Cancel {many}?"):
            output.warn("Nothing was canceled.")
            ids = []
    return ids, known
