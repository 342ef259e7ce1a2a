"""The Claude loop, and the rule for what it may cancel."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .conversation import DEFAULT_MODEL, Conversation, Event, Incomplete, Text, ToolResult, ToolUse

__all__ = ["DEFAULT_MODEL", "Conversation", "Event", "Incomplete", "Text", "ToolResult", "ToolUse"]


if not TYPE_CHECKING:  # a type checker would take every name for a public one

    def __getattr__(name: str) -> Any:
        """Load the conversation when it is used: the rule alone needs no SDK."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import conversation

        return getattr(conversation, name)
