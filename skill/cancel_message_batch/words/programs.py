"""What is said about the batches of a program: under ``guard``, under ``run``, and in the record."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from cancel_message_batch.api.errors import MessageBatchError
from cancel_message_batch.api.models import MessageBatch

from .facts import amount, counted, sentence, spaced
from .states import NOT_IMMEDIATE


def command_failed(how: str, batch_ids: Sequence[str], *, keep: bool) -> str:
    """Say that a command failed that had created batches, and whether they are canceled now.

    Args:
        how: The command, and how it ended.
        batch_ids: The batches that were not seen to have ended.
        keep: Whether they are left alone, because it was asked for.
    """
    if keep:
        ids = spaced(batch_ids)
        return (
            f"{how}. Not canceled (--keep), and not seen to have ended: {ids}. To cancel: `cancel-message-batch {ids}`"
        )
    return f"{how}. Canceling what it created: {counted(len(batch_ids), 'message batch')}."


def guard_left(name: str, why: str, canceling: Sequence[str], ended: Sequence[str], failed: Mapping[str, str]) -> str:
    """Say what a guard was left by, and what became of the batches that were created inside it."""
    whose = f' of "{name}"' if name else ""
    told = program_left(canceling, ended, failed)
    return f"The guard{whose} was left{f' by {why}' if why else ''}.\n{told}".rstrip()


def program_left(canceling: Sequence[str], ended: Sequence[str], failed: Mapping[str, str]) -> str:
    """Say what became of the batches that a program created before it failed."""
    lines = []
    if canceling:
        ids = spaced(canceling)
        lines.append(f"Canceling: {ids}. {NOT_IMMEDIATE} To wait until stopped: `cancel-message-batch wait {ids}`")
    if ended:
        lines.append(f"Ended: {spaced(ended)}.")
    lines += [f"{text} To cancel: `cancel-message-batch {spaced([one])}`" for one, text in failed.items()]
    return "\n".join(lines)


def creation_lost(began: datetime, requests: int) -> str:
    """Say that a batch may have been created whose id nobody knows."""
    many, at = counted(requests, "request"), f"{began.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    return (
        f"The creation of a message batch of {many} was sent at {at}, and no answer said what came of it. The batch "
        "may exist and be running. To look for one of this time and size: `cancel-message-batch list`. To cancel it: "
        "`cancel-message-batch ID`"
    )


def connections_held(number: int) -> str:
    """Say that something which a command left running lost its connections to the API."""
    what = counted(number, "connection")
    return (
        f"The command has ended, and something that it started still held {what} to the API. They are closed, because "
        "`cancel-message-batch run` ends with the command."
    )


def named(message_batch_id: str, name: str) -> str:
    """Say what a batch is called now, and who knows it."""
    if not name:
        return f"{message_batch_id} has no name now."
    return f'{message_batch_id} is named "{name}". Only this machine knows the name: the API keeps none.'


def orphans(batches: Sequence[MessageBatch]) -> str:
    """Say that batches run on though the programs that created them are gone; nothing when there are none."""
    if not batches:
        return ""
    one = len(batches) == 1
    what = "runs on though the program that created it" if one else "run on though the programs that created them"
    them = "it" if one else "them"
    return sentence(
        f"{amount(batches)}, {what} on this machine {'is' if one else 'are'} gone. "
        f"`cancel-message-batch list --orphaned` shows {them}, `cancel-message-batch --all --orphaned` stops {them}."
    )


def orphans_unknown(ids: Sequence[str], trouble: MessageBatchError | None) -> str:
    """Say which batches, whose program is gone, could not be looked up."""
    why = sentence(str(trouble)) if trouble else "There was no answer in time."
    return f"{why} Left out, because they could not be looked up: {spaced(ids)}"


def known_elsewhere(message_batch_id: str, where: str) -> str:
    """Say where this machine knows a batch from that was not found."""
    return f"This machine knows {message_batch_id} from {where}: look for it there."
