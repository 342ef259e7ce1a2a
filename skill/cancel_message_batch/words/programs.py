"""What is said about the batches of a program: under ``guard``, under ``run``, and in the record."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from cancel_message_batch.api.errors import MessageBatchError
from cancel_message_batch.api.models import MessageBatch

from .facts import amount, counted, distance, duration, facts, sentence, spaced
from .states import NOT_IMMEDIATE


def command_ended(command: str, end: str, interrupted: str) -> str:
    """Say what ended a command: a signal or an exit code, and the signal that was to end it."""
    if not end.startswith("exit code"):
        return f"{command} was ended by {end}"
    if interrupted:
        return f"{command} was interrupted by {interrupted} ({end})"
    return f"{command} ended with {end}" if end == "exit code 0" else f"{command} failed ({end})"


def command_failed(how: str, batches: int) -> str:
    """Say that a command ended so (``how``), and that the batches that it created are canceled now."""
    return f"{how}. Canceling what it created: {counted(batches, 'message batch')}."


def not_canceled(how: str, batch_ids: Sequence[str], *, why: str = "") -> str:
    """Say that a command ended so (``how``), and that batches that it created are not canceled."""
    ids, because = spaced(batch_ids), f" ({why})" * bool(why)
    return f"{how}. Not canceled{because}, and probably still running: {ids}. To cancel: `cancel-message-batch {ids}`"


def nothing_came_through(how: str, *, stand_in: bool) -> str:
    """Say that ``run`` saw no request of a command that ended so (``how``)."""
    key = " Its key is a stand-in that works at that address only." if stand_in else ""
    return (
        f"{how}, and no request of it came through `run`, which knows of no batch: the command has to send its "
        f"requests to the address in ANTHROPIC_BASE_URL.{key}"
    )


def still_trying(why: str, seconds: float, *, interruptible: bool = True) -> str:
    """Say why a cancel is not confirmed yet, and for how long it will be tried."""
    how = "; Ctrl-C ends this" if interruptible else ""
    return f"Not canceled yet: {sentence(why)} Trying again for up to {counted(round(seconds), 'second')}{how}."


def awaiting(requests: int, seconds: float) -> str:
    """Say that so many creates or cancels of a command have no response yet, and for how long they are waited for."""
    many = f"{requests:,} requests that create or cancel batches have"
    what = "a request that creates or cancels a batch has" if requests == 1 else many
    return (
        f"The command has ended, but {what} no response yet. Waiting for up to {counted(round(seconds), 'second')}; "
        "Ctrl-C ends this."
    )


def guard_left(
    name: str,
    why: str,
    canceling: Sequence[str],
    ended: Sequence[str],
    failed: Mapping[str, str],
    *,
    kept: Sequence[str] = (),
) -> str:
    """Say how a guarded block ended, and what became of the batches that were created in it."""
    with_error = f" with {why}" if why else ""
    left_running = f"\n{program_keeps(kept)}" if kept else ""
    return f"The {_block(name)} ended{with_error}.\n{program_left(canceling, ended, failed)}".rstrip() + left_running


def guard_closed(name: str, left: Sequence[str]) -> str:
    """Say which batches a guarded block left, because it could not see whether the program failed."""
    ids = spaced(left)
    return (
        f"The {_block(name)} was closed from outside: by a `break` or an exception in the loop over its generator, or "
        "by the end of the program. `guard` cannot tell these apart, so it canceled nothing. "
        f"Left running, unless they have ended: {ids}.\nTo cancel: `cancel-message-batch {ids}`"
    )


def program_keeps(kept: Sequence[str]) -> str:
    """Say which batches were not canceled, because their program had said so."""
    return f"Left running, because the program keeps it: {spaced(kept)}."


def keep_not_told(message_batch_id: str, why: str) -> str:
    """Say that ``run`` may cancel a batch although its program keeps it, because ``run`` could not be told."""
    return (
        f"`cancel-message-batch run`, which started this program, could not be told to keep {message_batch_id}: "
        f"{sentence(why)} If the program fails, `run` may cancel the batch."
    )


def record_too_slow() -> str:
    """Say that there was no time left to record what became of the batches of a command."""
    return (
        "This machine's record is too slow. What became of the command's batches may not be in it, so "
        "`cancel-message-batch list --orphaned` may be wrong about them."
    )


def _block(name: str) -> str:
    return f'guarded block of "{name}"' if name else "guarded block"


def program_left(canceling: Sequence[str], ended: Sequence[str], failed: Mapping[str, str]) -> str:
    """Say what became of the batches that a program created before it failed."""
    lines = []
    if canceling:
        ids = spaced(canceling)
        lines.append(f"Canceling: {ids}. {NOT_IMMEDIATE} To wait until stopped: `cancel-message-batch wait {ids}`")
    if ended:
        lines.append(f"Ended: {spaced(ended)}.")
    lines += [f"{text}\nTo cancel: `cancel-message-batch {spaced([one])}`" for one, text in failed.items()]
    return "\n".join(lines)


def creation_lost(began: datetime, requests: int) -> str:
    """Say that a batch may exist whose id is not known; ``requests`` is 0 where its size is not known either."""
    size, at = f" of {counted(requests, 'request')}" * bool(requests), f"{began.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    return (
        f"A request to create a message batch{size} was sent at {at}, and no response came. The batch may exist "
        f"and be running. To look for a batch of that time{' and size' * bool(requests)}: `cancel-message-batch list`. "
        "To cancel it: `cancel-message-batch ID`"
    )


def create_interrupted(batch_ids: Sequence[str]) -> str:
    """Say which batches are running although the calls that created them were interrupted."""
    ids = spaced(batch_ids)
    return (
        "`create` was interrupted after the API had responded, so the program may not know what was created. "
        f"Left running, unless they have ended: {ids}.\nTo cancel: `cancel-message-batch {ids}`"
    )


def left_by_command(processes: Sequence[int], connections: int) -> str:
    """Say which processes a command left running, and that they lost their connections to the API."""
    what = f"processes that it started are still running ({', '.join(map(str, processes))})"
    if not processes:
        what = f"a process that it started still had {counted(connections, 'connection')} to the API"
    return (
        f"The command has ended, but {what}. They cannot reach the API any more, because `cancel-message-batch run` "
        "ends with the command."
    )


def named(message_batch_id: str, name: str) -> str:
    """Say which name a batch has now, and that only this machine knows it."""
    if not name:
        return f"{message_batch_id} has no name now."
    return f'{message_batch_id} is named "{name}". Only this machine knows the name: the API does not keep names.'


def left_behind(batches: Sequence[MessageBatch]) -> str:
    """Say that batches are running although their program is gone; nothing if there are none."""
    if not batches:
        return ""
    them = "it" if len(batches) == 1 else "them"
    shows = f"`cancel-message-batch list --orphaned` shows {them}."
    return f"Left behind by a program that failed or was killed: {amount(batches)}. {shows}"


def left_behind_by(
    batch: MessageBatch, program: str, pid: int, *, through: str, ended: float | None, end: str | None
) -> str:
    """Say which program left a batch behind, how it ended, and how many seconds ago; None where nobody could see it."""
    who = f'Left behind by "{program}" (pid {pid})'
    if ended is None:
        how = "whose `run` was killed, or lost its power"
        if through == "guard":
            how = (
                "which ended inside its guarded block, in a daemon thread, by `os._exit`, by a kill or a power failure"
            )
        return f"{who}, {how}. It created the batch {distance(batch.created_at, batch)}."
    what = "whose guarded block" if through == "guard" else "which"
    return f"{who}, {what} ended {_ago(ended)} with {end or 'an error'}. No cancel was confirmed."


def not_listed(elsewhere: int, uncertain: int) -> str:
    """Say how many more batches may be left behind: at another base URL, and by programs that cannot be seen."""
    parts = []
    if elsewhere:
        parts.append(f"{elsewhere} more {'is' if elsewhere == 1 else 'are'} known at another base URL")
    if uncertain:
        were = "was" if uncertain == 1 else "were"
        parts.append(
            f"{uncertain} more {were} created on another host, in another container or before a restart, so that "
            "nobody here can say whether the program is gone"
        )
    return f"Not listed: {'; '.join(parts)}." if parts else ""


def left_behind_unknown(ids: Sequence[str], trouble: MessageBatchError | None) -> str:
    """Say which batches, which were left behind, could not be looked up."""
    why = sentence(str(trouble)) if trouble else "The API did not respond in time."
    return f"{why} Not shown, because they could not be looked up: {spaced(ids)}"


def may_be_yours(
    batch: MessageBatch, began: float, program: str, pid: int, *, end: str | None, counted: int | None
) -> str:
    """Say why a batch may be the one that a program was about to create when it ended, or lost the response.

    ``began`` is how many seconds ago that was; so many requests were ``counted`` in it, where that is known.
    """
    known = facts(batch)
    size = " and size" if counted == batch.request_counts.total else ""
    if counted and not size:
        size = f", and not more than the {counted:,} requests that were counted there"
    ended = f"no response came, and it ended with {end}" if end else "it was gone before a response came"
    return (
        f"May be yours: {known.title}, {known.status}, {known.size}, created {known.created}. "
        f'"{program}" (pid {pid}) began to create a batch {_ago(began)}; {ended}. This batch has that '
        f"time{size}, and this machine does not know who created it. Only its id cancels it: first make "
        "sure that nobody else created it."
    )


def _ago(seconds: float) -> str:
    return f"{duration(seconds)} ago" if seconds >= 1 else "just now"


def known_elsewhere(message_batch_id: str, where: str) -> str:
    """Say where a batch that was not found belongs, as this machine knows it."""
    return f"In this machine's record, {message_batch_id} belongs to {where}: look for it there."
