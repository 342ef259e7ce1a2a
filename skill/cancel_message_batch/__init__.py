"""Cancel Anthropic Message Batches: the client, the tools and the agent loop."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agent.approval import Consent
    from .agent.conversation import Conversation
    from .api import __version__
    from .api.client import AsyncMessageBatches, MessageBatches
    from .api.errors import (
        APIConnectionError,
        APIResponseError,
        APIStatusError,
        APITimeoutError,
        ConfigurationError,
        InvalidInputError,
        MessageBatchError,
    )
    from .api.models import MessageBatch, RequestCounts
    from .guarding.guard import guard
    from .results.tool import async_results_function, results_function, results_tool
    from .tools import Tool, ToolOutcome, cancel_message_batch, get_message_batch, list_message_batches
    from .words.states import question

__all__ = [
    "APIConnectionError",
    "APIResponseError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncMessageBatches",
    "ConfigurationError",
    "Consent",
    "Conversation",
    "InvalidInputError",
    "MessageBatch",
    "MessageBatchError",
    "MessageBatches",
    "RequestCounts",
    "Tool",
    "ToolOutcome",
    "__version__",
    "async_results_function",
    "cancel_message_batch",
    "get_message_batch",
    "guard",
    "list_message_batches",
    "question",
    "results_function",
    "results_tool",
]

# Public names are loaded when they are used, so that importing the package costs nothing. dir() lists only those that
# are loaded: freezegun gets every name that it lists in every module, and pydantic cannot make models in frozen time.
_MODULES = (
    (".api", frozenset({"__version__"})),
    (".api.errors", frozenset(name for name in __all__ if name.endswith("Error"))),
    (".api.models", frozenset({"MessageBatch", "RequestCounts"})),
    (".api.client", frozenset({"AsyncMessageBatches", "MessageBatches"})),
    (".agent.approval", frozenset({"Consent"})),
    (".agent.conversation", frozenset({"Conversation"})),
    (".guarding.guard", frozenset({"guard"})),
    (".results.tool", frozenset({"async_results_function", "results_function", "results_tool"})),
    (".words.states", frozenset({"question"})),
    (".tools", frozenset(__all__)),
)


if not TYPE_CHECKING:  # a type checker would take every name for a public one

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = next(module for module, names in _MODULES if name in names)
        globals()[name] = value = getattr(import_module(module, __name__), name)
        return value
