"""LiteLLM's own way from a function to a schema: it reads the docstring as numpydoc, and the names of the types."""

import pytest

import cancel_message_batch
from cancel_message_batch.tools import TOOLS

pytest.importorskip("litellm", reason="litellm is not installed; `make test-frameworks` installs it")

import litellm


def test_a_plain_function_becomes_a_schema_with_the_whole_description() -> None:
    for tool in TOOLS:
        schema = litellm.utils.function_to_dict(getattr(cancel_message_batch, tool.name))
        assert (schema["name"], " ".join(schema["description"].split())) == (tool.name, tool.description)
        assert schema["parameters"].get("required") == tool.input_schema.get("required")
        assert list(schema["parameters"]["properties"]) == list(tool.input_schema["properties"])
