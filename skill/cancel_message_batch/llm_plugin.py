"""The plugin for `llm`, Simon Willison's command line for language models, which loads it by its entry point."""

from functools import partial
from typing import Any

import llm


def _answer(tool: Any, **arguments: Any) -> str:
    return str(tool.run(arguments).text)


@llm.hookimpl
def register_tools(register: Any) -> None:
    """Offer the three tools by their names."""
    from .tools import TOOLS

    for tool in TOOLS:
        register(llm.Tool(tool.name, tool.description, tool.input_schema, partial(_answer, tool)))
