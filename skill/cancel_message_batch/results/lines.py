"""Reading a line of JSON Lines."""

import json
from typing import Any

from pydantic_core import from_json


def parsed(line: bytes | str) -> Any:
    """Parse one JSON text.

    ``from_json`` is two to four times as fast as ``json``, but refuses half an emoji and deep nesting.

    Raises:
        ValueError: It is not JSON, or nested too deeply.
    """
    try:
        return from_json(line, cache_strings="keys")
    except ValueError:
        try:
            return json.loads(line)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
