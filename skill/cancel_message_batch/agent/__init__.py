"""The Claude loop, and the rule for what it may cancel."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conversation import DEFAULT_MODEL, Conversation, Event, Incomplete, Text, ToolResult, ToolUse

__all__ = ["DEFAULT_MODEL", "Conversation", "Event", "Incomplete", "Text", "ToolResult", "ToolUse"]


def __getattr__(name: str) -> Any:
    """Load the conversation, and with it the official SDK, when it is used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import conversation

    return getattr(conversation, name)
