"""The Claude loop, and the rule for what it may cancel."""

from .conversation import DEFAULT_MODEL, Conversation, Event, Incomplete, Text, ToolResult, ToolUse

__all__ = ["DEFAULT_MODEL", "Conversation", "Event", "Incomplete", "Text", "ToolResult", "ToolUse"]
