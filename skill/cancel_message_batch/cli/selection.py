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
    from cancel_message_batch.batches.many import matching  # ids need none of it

    known = matching(
        batches,
        older_than=given.older_than,
        newer_than=given.newer_than,
        at_least=given.at_least or 0,
    )
    ids = [batch.id for batch in known]
    if not known:
        narrowed = any(value is not None for value in (given.older_than, given.newer_than, given.at_least))
        output.say(f"No message batch{' like that' if narrowed else ''} is in progress: there is nothing to cancel.")
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
