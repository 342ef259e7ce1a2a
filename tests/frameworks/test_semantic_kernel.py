"""What Semantic Kernel makes of the types of the parameters: it converts each argument before it calls."""

from typing import Any

import pytest

from cancel_message_batch.aio import cancel_message_batch, get_message_batch, list_message_batches
from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.tools import LIST
from tests.conftest import cancels

pytest.importorskip("semantic_kernel", reason="it is not installed; `make test-frameworks` installs it")

import asyncio

from semantic_kernel import Kernel
from semantic_kernel.connectors.ai.function_calling_utils import kernel_function_metadata_to_function_call_format
from semantic_kernel.contents import ChatHistory, FunctionCallContent
from semantic_kernel.functions import kernel_function


@pytest.fixture
def kernel() -> Any:
    kernel = Kernel()
    tools = [cancel_message_batch, list_message_batches, get_message_batch]
    kernel.add_functions("batches", [kernel_function(tool) for tool in tools])
    return kernel


def call(kernel: Any, function: Any, **arguments: Any) -> str:
    """Let the model make this call; returns what it is told."""
    history = ChatHistory()
    content = FunctionCallContent(id="1", name=f"batches-{function.__name__}", arguments=arguments)
    asyncio.run(kernel.invoke_function_call(content, history))
    return str(history.messages[-1].items[0].result)


def test_each_parameter_has_its_own_type(kernel: Any) -> None:
    for function in kernel.get_plugin("batches").functions.values():
        schema = kernel_function_metadata_to_function_call_format(function.metadata)["function"]["parameters"]
        types = {name: part["type"] for name, part in schema["properties"].items()}
        if function.name == LIST.name:
            assert types == {"status": "string", "limit": "integer", "after_id": "string"}
        else:
            assert (types, schema["required"]) == ({"message_batch_id": "string"}, ["message_batch_id"])


def test_a_listing_takes_each_argument(kernel: Any, sandbox: Sandbox) -> None:
    running = sandbox.account.add(requests=5000, age=600, status="in_progress")
    assert running in call(kernel, list_message_batches, status="in_progress", limit=5, after_id="")
    assert "1 message batch, newest first" in call(kernel, list_message_batches, limit=1)


@pytest.mark.parametrize("wrong", [{"status": None}, {"limit": None}, {"limit": "all"}, {"color": "red"}], ids=str)
def test_the_model_is_told_which_argument_of_a_listing_is_wrong(kernel: Any, wrong: dict[str, Any]) -> None:
    assert next(iter(wrong)) in call(kernel, list_message_batches, **wrong)


@pytest.mark.parametrize("wrong", [{}, {"message_batch_id": None}, {"message_batch_id": ["msgbatch_x"]}], ids=str)
def test_without_a_usable_id_nothing_is_sent(kernel: Any, sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    told = call(kernel, cancel_message_batch, **wrong)
    assert "is not a message batch id" in told or "message_batch_id" in told
    assert cancels(sandbox) == []
