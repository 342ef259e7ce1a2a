"""The three tools as async functions, for frameworks that await theirs."""

from .tools import CANCEL, GET, LIST, ListAfter, ListLimit, ListStatus, MessageBatchId, documented


@documented(CANCEL)
async def cancel_message_batch(message_batch_id: MessageBatchId) -> str:
    return (await CANCEL.run_async({"message_batch_id": message_batch_id})).text


@documented(LIST)
async def list_message_batches(status: ListStatus = "any", limit: ListLimit = 10, after_id: ListAfter = "") -> str:
    return (await LIST.run_async({"status": status, "limit": limit, "after_id": after_id})).text


@documented(GET)
async def get_message_batch(message_batch_id: MessageBatchId) -> str:
    return (await GET.run_async({"message_batch_id": message_batch_id})).text
