"""The tool with which an agent saves results. It is offered only if a person has said which directory to write to."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from cancel_message_batch.api.client import AsyncMessageBatches, MessageBatches, client_over
from cancel_message_batch.api.errors import ConfigurationError, MessageBatchError
from cancel_message_batch.tools import MessageBatchIdInput, Tool, ToolOutcome, described
from cancel_message_batch.words import failures

from .folder import BusyError, SaveError
from .saving import Saved, save

NAME = "save_message_batch_results"
_OUTPUT_SCHEMA = {
    "type": "object",
    "properties": {
        "message_batch_id": {"type": "string", "description": "Id"},
        "summary": {"type": "string", "description": "What was saved, what it means; or why nothing was"},
        "directory": {"type": "string", "description": "Where the files are"},
        "counts": {"type": "object", "description": "Results by type; succeeded are billed"},
        "estimated_usd": {"type": "number", "description": "Absent where no price is known"},
        "to_resubmit": {"type": "integer", "description": "Requests left to send"},
        "files": {"type": "object", "description": "Bytes by file name"},
    },
    "required": ["message_batch_id", "summary"],
}
_POLL = 0.5  # seconds between looks whether another run has finished


def results_function(directory: Path | str) -> Callable[[str], str]:
    """Return ``save_message_batch_results``, a plain function for agent frameworks.

    Args:
        directory: The directory that it saves below, created if missing. The model cannot choose another.
    """

    def save_message_batch_results(message_batch_id: str) -> str:
        """Save the results of one ended Anthropic Message Batch as JSON Lines in the directory that the user set up.
        Use it when the user wants the results, or asks what they got, what it cost or what failed: it returns a summary
        and the paths, not the results. A batch that has not ended, which get_message_batch shows, has no results yet;
        29 days after its creation they are gone: in both cases nothing is written. A complete earlier save is not
        repeated; its own incomplete files are replaced. Copy the id from the user or list_message_batches; an unknown
        one is reported as not found.

        Args:
            message_batch_id: Whole id, such as msgbatch_013Zva2CMHLNnXjNJJKqJ2EF
        """
        return results_tool(directory).run({"message_batch_id": message_batch_id}).text

    return save_message_batch_results


def async_results_function(directory: Path | str) -> Callable[[str], Awaitable[str]]:
    """Return ``save_message_batch_results`` as an async function, which blocks no other task.

    Args:
        directory: The directory that it saves below, created if missing. The model cannot choose another.
    """

    async def save_message_batch_results(message_batch_id: str) -> str:
        return (await results_tool(directory).run_async({"message_batch_id": message_batch_id})).text

    save_message_batch_results.__doc__ = results_function(directory).__doc__
    return save_message_batch_results


def results_tool(directory: Path | str) -> Tool:
    """Return the tool ``save_message_batch_results``.

    Args:
        directory: The directory that it saves below, created if missing. The model cannot choose another.
    """
    return Tool(
        name=NAME,
        title="Save the results of an Anthropic Message Batch",
        description=described(results_function(directory)),
        action="get",
        input_model=MessageBatchIdInput,
        handler=partial(_answer, Path(directory)),
        system_prompt=f"Once a batch has ended, offer to save its results with {NAME}, and save them only if the "
        "person wants that.",
        output_schema=_OUTPUT_SCHEMA,
        instead_of="run `cancel-message-batch results ID` or use the SDK",
        unfinished=f"The results are still being saved. Call {NAME} again with the same id to learn the outcome.",
    )


async def _answer(directory: Path, given: MessageBatchIdInput, batches: Any) -> ToolOutcome:
    name = given.message_batch_id
    try:
        if isinstance(batches, AsyncMessageBatches):
            saved = await _saved_by_thread(batches, name, directory)
        elif isinstance(batches, MessageBatches):
            saved = save(batches, name, directory)
        else:
            raise ConfigurationError("results are saved with MessageBatches() of this package, not with the SDK's")
    except SaveError as error:
        return ToolOutcome(str(error), str(error), error=error)
    except MessageBatchError as error:
        return ToolOutcome(failures.failed(error, "get", name), str(error), error=error)
    text = "\n".join([*saved.lines, *saved.in_their_words])
    return ToolOutcome(text, saved.lines[0], batch=saved.batch, structured=_structured(name, text, saved))


def _structured(message_batch_id: str, text: str, saved: Saved) -> dict[str, Any]:
    known: dict[str, Any] = {"message_batch_id": message_batch_id, "summary": text}
    if saved.summary is None:
        return known
    cost = saved.summary["estimate"]["usd"]
    known |= {"directory": str(saved.path), **({} if cost is None else {"estimated_usd": cost})}
    return known | {field: saved.summary[field] for field in ("counts", "to_resubmit", "files")}


async def _saved_by_thread(batches: AsyncMessageBatches, name: str, directory: Path) -> Saved:
    """Save in a thread. It goes on when the caller stops waiting, and the next call waits for it."""

    def work() -> Saved:
        with client_over(MessageBatches, batches.connection) as own:
            return save(own, name, directory)

    own = anyio.CapacityLimiter(1)  # all of the default one may belong to callers that wait for this
    while True:
        try:
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=own)
        except BusyError:
            await anyio.sleep(_POLL)
