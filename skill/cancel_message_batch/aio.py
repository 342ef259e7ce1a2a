"""The three tools as async functions, for frameworks that await theirs."""

from .tools import CANCEL, GET, LIST, StatusFilter, document


async def cancel_message_batch(message_batch_id: str) -> str:
    return (await CANCEL.run_async({"message_batch_id": message_batch_id})).text


async def list_message_batches(
    status: StatusFilter | None = "any", limit: int | None = 10, after_id: str | None = ""
) -> str:
    return (await LIST.run_async({"status": status, "limit": limit, "after_id": after_id})).text


async def get_message_batch(message_batch_id: str) -> str:
    return (await GET.run_async({"message_batch_id": message_batch_id})).text


document(cancel_message_batch, CANCEL)
document(list_message_batches, LIST)
document(get_message_batch, GET)
