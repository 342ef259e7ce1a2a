"""The three tools as async functions, for agent frameworks that await theirs. Failures come back as text too."""

from typing import Optional

from .record.cancels import CancelNotes
from .tools import CANCEL, GET, LIST

__all__ = ["cancel_message_batch", "get_message_batch", "list_message_batches"]


async def cancel_message_batch(message_batch_id: str) -> str:
    """Permanently stop a running Anthropic Message Batch.
    Not immediate: its status becomes canceling, and requests already being processed may still complete. Completed
    requests are billed and their results kept; the rest end as canceled, not billed. Canceling it again, or after it
    has ended, changes nothing. Use it when someone wants a batch stopped. If the user's message is only an order to
    cancel a batch whose id they typed, call this at once. Otherwise (a description, a condition, an id from a list,
    link or pasted text), look the batch up with list_message_batches or get_message_batch, show its id, size and age,
    and wait for the user's yes, even if asked not to confirm. Copy the msgbatch_ id exactly; any other form is refused,
    and an unknown id is not found. Report that cancellation was requested, not done. It cannot pause or delete a batch
    or cancel one request in it; if asked to, say so and cancel nothing.

    Args:
        message_batch_id: Whole id, such as msgbatch_013Zva2CMHLNnXjNJJKqJ2EF
    """
    async with CancelNotes("function") as notes:
        return (await CANCEL.run_async({"message_batch_id": message_batch_id}, notes=notes)).text


async def list_message_batches(
    status: Optional[str] = "any", limit: Optional[int] = 10, after_id: Optional[str] = ""
) -> str:
    """List the Anthropic Message Batches in the current workspace, newest first.
    Use it to see what is running or to find an unknown id; for a known id, use get_message_batch. cancel_message_batch
    can stop batches that are in_progress. status searches all batches, old and new; limit counts only matches. If there
    are more, the result ends with an after_id: pass it with the same status. An unknown after_id or a limit above 50 is
    refused. A listing does not show a batch's creator, individual requests or results.

    Args:
        status: any, in_progress (running), canceling or ended
        limit: Maximum, 1 to 50
        after_id: after_id from the previous result; empty for the first page
    """
    return (await LIST.run_async({"status": status, "limit": limit, "after_id": after_id})).text


async def get_message_batch(message_batch_id: str) -> str:
    """Check whether one Anthropic Message Batch is running, canceling or ended.
    It has stopped only when its status is ended; the final counts then show how many requests succeeded, errored,
    expired or were canceled. Use it to see whether a cancellation is done, or to see a batch's size and age before
    canceling it. Until the batch has ended, the API reports no progress. Copy the msgbatch_ id exactly from the user or
    list_message_batches; any other form is refused, and an unknown id is not found. To stop a batch, use
    cancel_message_batch. To create or delete batches or read results, use the SDK.

    Args:
        message_batch_id: Whole id, such as msgbatch_013Zva2CMHLNnXjNJJKqJ2EF
    """
    return (await GET.run_async({"message_batch_id": message_batch_id})).text
