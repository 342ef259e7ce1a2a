"""Values made from JSON schemas: small, allowed by the schema, and none where there can be none."""

from enum import Enum
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field

from cancel_message_batch.sandbox.schemas import SchemaValue


class Tree(BaseModel):
    name: str
    children: list["Tree"]
    parent: "Tree | None"


class Color(Enum):
    RED = "red"


class Person(BaseModel):
    name: Annotated[str, Field(min_length=10, max_length=12)]
    age: Annotated[int, Field(ge=18, lt=100)]
    color: Color
    kind: Literal["a", "b"]
    nickname: str | None
    born: Annotated[str, Field(json_schema_extra={"format": "date"})]
    code: Annotated[str, Field(pattern=r"^[A-Z]{3}-\d{2,}(x|y)?$")]
    score: Annotated[float, Field(gt=0, lt=0.5)]
    friends: Annotated[list[Tree], Field(min_length=2)]
    unneeded: int = 3


SCHEMAS: list[Any] = [
    Person.model_json_schema(),
    Tree.model_json_schema(),
    {},
    {"type": ["null", "string"]},
    {"properties": {"a": {"type": "null"}}, "required": ["a", "b"]},
    {"allOf": [{"$ref": "#/$defs/a~1b"}, {"required": ["y"]}], "$defs": {"a/b": {"type": "object", "required": ["x"]}}},
    {"anyOf": [False, {"type": "integer", "multipleOf": 7, "minimum": 15}]},
    {"type": "object", "oneOf": [{"required": ["a"], "properties": {"a": {"const": 5}}}]},
    {"type": "number", "exclusiveMaximum": -3},
    {"type": "integer", "exclusiveMinimum": 3, "maximum": 4},
    {"type": "array", "prefixItems": [{"type": "boolean"}], "minItems": 3, "items": {"enum": [7]}},
    {"type": "string", "maxLength": 3},
    {"type": "string", "minLength": 30},
    {"type": "string", "pattern": r"^\w+@[^@\s]+\.(com|org)$"},
    {"type": "string", "pattern": "sand"},
    {"type": "string", "default": "given"},
    {"type": "string", "enum": [1, "a"]},
    {"type": "integer", "minimum": 5, "enum": [True, 1, 9]},
    {"anyOf": [{"type": "boolean", "enum": [1]}, {"type": ["null", "string"], "maxLength": 2, "enum": ["long", None]}]},
    {"$ref": "#/$defs/a%20b%7E1c/anyOf/1", "$defs": {"a b/c": {"anyOf": [{"type": "null"}, {"type": "integer"}]}}},
    {"allOf": [{"type": "integer", "minimum": 3, "maximum": 90}, {"minimum": 8, "maximum": 20}], "minimum": 5},
    {"allOf": [{"type": "string", "minLength": 12}, {"minLength": 20, "maxLength": 20}], "maxLength": 50},
    {"type": "object", "required": ["x"], "additionalProperties": {"type": "integer"}},
    {"type": "object", "required": ["x"], "additionalProperties": False, "patternProperties": {"x": True}},
    {"allOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]},
    {"enum": ["a", "b"], "allOf": [{"const": "b"}]},
    {"allOf": [{"type": ["string", "null"]}, {"type": "null"}]},
    {"allOf": [{"type": ["number", "null"], "minimum": 0.5}, {"type": ["string", "integer"]}]},
    {"allOf": [{"properties": {"a": {"minimum": 3}}}, {"properties": {"a": {"type": "integer"}}, "required": ["a"]}]},
    {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 1, "default": 0}}},
    *(
        {"type": "string", "format": name}
        for name in ("date", "date-time", "email", "uri", "uuid", "ipv4", "unheard-of")
    ),
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_the_value_is_one_that_the_schema_allows(schema: Any) -> None:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.validate(SchemaValue(schema).make(), schema, format_checker=checker)


def test_only_required_properties_are_there_and_a_text_says_who_wrote_it() -> None:
    made = SchemaValue(Person.model_json_schema()).make()
    assert "unneeded" not in made
    assert made["friends"] == [{"name": "sandbox", "children": [], "parent": None}] * 2


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "https://example.com/schema"},
        {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}},
        {"type": "object", "required": ["a"], "properties": {"a": False}},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "string", "minLength": 5, "maxLength": 4},
        {"type": "string", "pattern": "(?=a)b"},
        {"type": "string", "pattern": "("},
        {"anyOf": [False]},
        {"type": "array", "minItems": 1000000000},
        {"type": "string", "pattern": "a{1000000000}"},
        {"type": "quux"},
        {"type": 5},
        {"enum": []},
        {"type": "string", "enum": [1]},
        {"$ref": "#/anyOf/5", "anyOf": [True]},
        {"allOf": [{"type": "integer", "minimum": 1}, {"maximum": 4}, {"minimum": 5}]},
        {"required": 5, "type": "object"},
        {"required": ["a"], "type": "object", "additionalProperties": False},
        {"allOf": [{"type": "string"}, {"type": "null"}]},
        {"allOf": [{"const": 1}, {"const": 2}]},
        {"type": "object", "properties": [], "required": ["a"]},
    ],
    ids=str,
)
def test_a_schema_that_allows_nothing_is_an_error(schema: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        SchemaValue(schema).make()
