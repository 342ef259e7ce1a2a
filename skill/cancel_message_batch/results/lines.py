"""Reading a line of JSON Lines."""

from typing import Any

from pydantic_core import from_json

from cancel_message_batch.api.errors import json_or_none


def parsed(line: bytes) -> Any:
    """Return the value of a line; None where it is not JSON."""
    try:
        return from_json(line, cache_strings="keys")  # two to four times as fast as json
    except ValueError:
        return json_or_none(line)  # takes half an emoji and deep nesting too
