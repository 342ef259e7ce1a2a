"""Cancel Anthropic Message Batches: the client, the tools and the agent loop."""

from typing import Any

__version__ = "0.1.0"

# Loaded when they are used: importing the package costs nothing, and a plain command only what it needs.
_HOMES = {
    "APIConnectionError": "api.errors",
    "APIResponseError": "api.errors",
    "APIStatusError": "api.errors",
    "APITimeoutError": "api.errors",
    "AsyncMessageBatches": "api.client",
    "ConfigurationError": "api.errors",
    "InvalidInputError": "api.errors",
    "MessageBatch": "api.models",
    "MessageBatchError": "api.errors",
    "MessageBatches": "api.client",
    "RequestCounts": "api.models",
    "Tool": "tools",
    "ToolOutcome": "tools",
    "cancel_message_batch": "tools",
    "get_message_batch": "tools",
    "list_message_batches": "tools",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
