"""What the sandbox accepts: the bodies and queries of requests, and the error for anything else."""

import functools
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from .errors import APIError

LARGEST_BATCH = 100_000  # requests; batch processing guide

Input = TypeVar("Input")

_adapter: Callable[[Any], TypeAdapter[Any]] = functools.cache(TypeAdapter)


def accepted(kind: type[Input], given: Any) -> Input:
    """Validate what a client sent. The error says what is wrong as the API does: the field, and what it should be."""
    if not isinstance(given, dict):
        raise APIError(400, "The request body is not valid JSON, or not an object.")
    try:
        value: Input = _adapter(kind).validate_python(given)
    except ValidationError as error:
        raise APIError(400, in_words(error)) from error
    return value


def in_words(error: ValidationError) -> str:
    """Say what is wrong first: the field, and what it should be."""
    first: Any = error.errors(include_url=False)[0]
    said = first["msg"].removeprefix("Value error, ")
    if first["type"] in {"dict_type", "model_type"}:  # it would name our class
        said = "Input should be an object"
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), said)))


class _Body(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True)


def _text_or_blocks(content: Any) -> Any:
    """Check the content of a message. A block may have any type, since the API gets new ones."""
    if not isinstance(content, str | list):
        raise ValueError("Input should be a text or a list of blocks")
    for index, block in enumerate(content if isinstance(content, list) else ()):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise ValueError(f"block {index} has no type")
    return content


class _Message(_Body):
    role: Literal["user", "assistant", "system"]
    content: Annotated[str | list[dict[str, Any]], BeforeValidator(_text_or_blocks)]


class MessageParams(_Body):
    """The parameters of a message (API reference: Create a Message)."""

    model: str = Field(min_length=1)
    max_tokens: int = Field(ge=1)
    messages: list[_Message] = Field(min_length=1)
    temperature: float | None = None

    @model_validator(mode="after")
    def _messages_have_content(self) -> Self:
        last = self.messages[-1]
        for index, message in enumerate(self.messages):
            if not message.content and not (message is last and message.role == "assistant"):
                raise ValueError(f"messages.{index}: all messages must have content, except a final assistant message")
        return self


class ToolChoice(_Body):
    """How a request wants tools to be used (API reference: Create a Message, tool_choice)."""

    type: Literal["auto", "any", "tool", "none"] = "auto"
    name: str | None = None
    disable_parallel_tool_use: bool = False

    def forced(self, tools: list[dict[str, Any]]) -> dict[str, Any] | None:
        """Return the tool that must be used; None if the model may choose. Raises a ValueError if there is none."""
        if not tools:
            raise ValueError("tool_choice: may only be given with tools")
        if self.type not in {"any", "tool"}:
            return None
        wanted = [tool for tool in tools if self.type == "any" or tool.get("name") == self.name]
        if not wanted:
            raise ValueError(f"tool_choice.name: there is no tool {self.name}")
        return wanted[0]


def _defined(tool: dict[str, Any]) -> dict[str, Any]:
    """Check a tool. One of another type than custom is built in, and has what it needs."""
    kind = tool.get("type") or "custom"
    if kind == "function":
        raise ValueError('there is no tool type "function"; a tool has name, description and input_schema')
    named = isinstance(tool.get("name"), str) and tool["name"]
    if kind == "custom" and not (named and isinstance(tool.get("input_schema"), dict)):
        raise ValueError("a tool needs a name and an input_schema, which is an object")
    return tool


class MessageRequest(MessageParams):
    """A request to the stand-in."""

    tools: list[Annotated[dict[str, Any], AfterValidator(_defined)]] | None = None
    tool_choice: ToolChoice | None = None

    @field_validator("tools")
    @classmethod
    def _names_are_unique(cls, tools: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
        names = [tool["name"] for tool in tools or () if "name" in tool]  # a toolset has none
        if len(set(map(str, names))) < len(names):
            raise ValueError("Tool names must be unique.")
        return tools


class TokenCountRequest(MessageRequest):
    """The messages whose tokens are counted (API reference: Count tokens in a Message)."""

    max_tokens: int = Field(1, ge=1)  # not needed here


class _JSONFormat(_Body):
    type: Literal["json_schema"]
    json_schema: dict[str, Any] = Field(alias="schema")


class _OutputConfig(_Body):
    format: _JSONFormat | None = None


class BatchedParams(MessageRequest):
    """The parameters of one request of a batch. The API validates these when the request runs."""

    stream: Literal[False] | None = None  # batch processing guide: not supported
    output_config: _OutputConfig | None = None
    output_format: _JSONFormat | None = None  # the beta's name for the format in output_config

    @property
    def tool(self) -> dict[str, Any] | None:
        """The tool that must be used."""
        return self.tool_choice.forced(self.tools or []) if self.tool_choice else None

    @property
    def json_schema(self) -> dict[str, Any] | None:
        """The schema that the text of the answer must follow."""
        wanted = self.output_format or (self.output_config and self.output_config.format)
        return wanted.json_schema if wanted else None


class _BatchedRequest(_Body):
    custom_id: str = Field(pattern="^[a-zA-Z0-9_-]{1,64}$")
    params: dict[str, Any]


class NewBatch(_Body):
    """A batch to create (API reference: Create a Message Batch)."""

    requests: list[_BatchedRequest] = Field(min_length=1, max_length=LARGEST_BATCH)

    @model_validator(mode="after")
    def _custom_ids_are_unique(self) -> Self:
        seen: set[str] = set()
        for index, request in enumerate(self.requests):
            if request.custom_id in seen:
                raise ValueError(f"requests.{index}.custom_id: '{request.custom_id}' is not unique in the batch")
            seen.add(request.custom_id)
        return self


class ListQuery(BaseModel):
    """Which page of the list of batches to return (API reference: List Message Batches)."""

    limit: int = Field(20, ge=1, le=1000)
    after_id: str | None = None
    before_id: str | None = None

    @model_validator(mode="after")
    def _only_one_cursor(self) -> Self:
        if self.after_id and self.before_id:
            raise ValueError("after_id, before_id: only one of them can be given.")
        return self
