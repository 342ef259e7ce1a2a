"""The tool with which an agent saves results: offered only where a person has said which directory to write to."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from cancel_message_batch.api.client import AsyncMessageBatches, MessageBatches
from cancel_message_batch.api.errors import ConfigurationError, MessageBatchError
from cancel_message_batch.tools import MessageBatchIdInput, Tool, ToolOutcome, document
from cancel_message_batch.words import failures, results

from .folder import SaveError
from .saving import Saved, save

NAME = "save_message_batch_results"


def results_tool(directory: Path | str) -> Tool:
    """Return the tool ``save_message_batch_results``, which saves results below a directory.

    Args:
        directory: The directory; made where it is missing. The model cannot choose another.
    """
    return Tool(
        name=NAME,
        title="Save the results of an Anthropic Message Batch",
        description=(
            "Save the results of one Anthropic Message Batch that has ended as files on the user's machine, in the "
            "directory that the user chose. Use it when the user wants the results, or wants to know what finished and "
            "what is left to send. It returns a summary (counts, errors, tokens, estimated cost, file names) and never "
            "the results themselves: tell the user where the files are. It sends, cancels and deletes nothing. Calling "
            "it again downloads nothing if the files are complete. A batch that has not ended has no results: check it "
            "with get_message_batch. Copy the msgbatch_ id exactly; an unknown id is not found."
        ),
        action="get",
        input_model=MessageBatchIdInput,
        handler=partial(_answer, Path(directory)),
        offer=f"Once a batch has ended, offer to save its results with {NAME}, and save them only if the person wants "
        "that.",
    )


def results_function(directory: Path | str) -> Callable[[str], str]:
    """Return ``save_message_batch_results``, the tool as a plain function for frameworks that take one.

    Args:
        directory: The directory that it saves below; the model cannot choose another.
    """
    tool = results_tool(directory)

    def save_message_batch_results(message_batch_id: str) -> str:
        return tool.run({"message_batch_id": message_batch_id}).text

    document(save_message_batch_results, tool)
    return save_message_batch_results


def async_results_function(directory: Path | str) -> Callable[[str], Awaitable[str]]:
    """Return ``save_message_batch_results`` as an async function; saving blocks no other task.

    Args:
        directory: The directory that it saves below; the model cannot choose another.
    """
    tool = results_tool(directory)

    async def save_message_batch_results(message_batch_id: str) -> str:
        return (await tool.run_async({"message_batch_id": message_batch_id})).text

    document(save_message_batch_results, tool)
    return save_message_batch_results


async def _answer(directory: Path, given: MessageBatchIdInput, batches: Any) -> ToolOutcome:
    name = given.message_batch_id
    try:
        if isinstance(batches, AsyncMessageBatches):
            import anyio

            work = partial(_with_own_client, batches, name, directory)
            saved = await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        elif isinstance(batches, MessageBatches):
            saved = save(batches, name, directory)
        else:
            raise ConfigurationError("results are saved with MessageBatches() of this package, not with the SDK's")
    except SaveError as error:
        return ToolOutcome(str(error), str(error), error=error)
    except MessageBatchError as error:
        return ToolOutcome(failures.failed(error, "get", name), str(error), error=error)
    text = _told(saved)
    return ToolOutcome(text, text.partition("\n")[0], batch=saved.batch)


def _with_own_client(batches: AsyncMessageBatches, name: str, directory: Path) -> Saved:
    with MessageBatches(connection=batches.connection) as own:
        return save(own, name, directory)


def _told(saved: Saved) -> str:
    if saved.batch and saved.state == "not_ended":
        return results.not_ended_for_results(saved.batch)
    if saved.batch and saved.state == "archived":
        return results.results_gone(saved.batch)
    told = results.saved(saved.summary or {}, str(saved.path), there=saved.state == "all_there", edited=saved.edited)
    return "\n".join(told)
