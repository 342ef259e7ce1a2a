"""Makes a small value that a JSON schema allows, for results that were asked for one."""

import importlib
import math
import re
import string
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

_CHARACTERS = string.ascii_letters + string.digits + string.punctuation + " "
_TEXT = "sandbox"
_LARGEST = 10_000  # items or characters
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "duration": "P1D",
    "email": "sandbox@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "00:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def _types_of_both(one: Any, other: Any) -> list[Any]:
    mine, yours = ([types] if isinstance(types, str) else types for types in (one, other))
    kinds = [kind for kind in mine if kind in yours or (kind == "integer" and "number" in yours)]
    return [*kinds, "integer"] if "number" in mine and "integer" in yours else kinds


# Of two values of a keyword, what both allow.
_BOTH: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), min),
    "enum": lambda one, other: [value for value in one if value in other],
    "properties": lambda one, other: {
        name: {"allOf": [each[name] for each in (one, other) if name in each]} for name in one | other
    },
    "required": lambda one, other: [*dict.fromkeys([*one, *other])],
    "type": _types_of_both,
}
_TYPES: dict[type, set[str]] = {
    dict: {"object"},
    list: {"array"},
    str: {"string"},
    bool: {"boolean"},
    type(None): {"null"},
    int: {"integer", "number"},
    float: {"number"},
}


class SchemaValue:
    """Makes a value for a schema: the required properties, the first choice that works, and texts like "sandbox".

    It does not look at ``not``, ``if``, ``contains``, ``uniqueItems``, ``minProperties``, ``patternProperties``,
    ``$anchor`` and dependent properties, and takes ``oneOf`` for ``anyOf``. It makes no text for a pattern with a
    back-reference, a look-ahead or a class of Unicode characters, and finds no schema by its ``$id``.
    """

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root

    def make(self) -> Any:
        """Return a value that the schema allows. Raises a ValueError if it allows nothing, or only endless values."""
        try:
            return self._value(self._root, frozenset())
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
            raise ValueError("the schema is not valid") from error

    def _value(self, schema: Any, inside: frozenset[str]) -> Any:
        """Make a value for a schema ``inside`` the references that led to it."""
        schema, inside = self._resolved(schema, inside)
        for key in ("anyOf", "oneOf"):
            if choices := schema.pop(key, None):
                return self._first(({"allOf": [schema, choice]} for choice in choices), inside)
        if "enum" in schema:
            for value in schema["enum"]:
                if _fits(value, schema):
                    return value
            raise ValueError("the schema allows none of its values")
        if "default" in schema and _fits(schema["default"], schema):
            return schema["default"]
        return self._of_type(schema, inside)

    def _of_type(self, schema: dict[str, Any], inside: frozenset[str]) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "array" if "items" in schema else "string")
        if isinstance(kind, list):
            return self._first(({**schema, "type": each} for each in kind), inside)
        if kind == "object":
            properties = schema.get("properties", {})
            others = {} if "patternProperties" in schema else schema.get("additionalProperties", {})
            return {name: self._value(properties.get(name, others), inside) for name in schema.get("required", ())}
        if kind == "array":
            first = schema.get("prefixItems", [])
            missing = max(0, _bounded(schema.get("minItems", 0)) - len(first))
            return [self._value(item, inside) for item in [*first, *[schema.get("items", {})] * missing]]
        if kind in {"integer", "number"}:
            return _number(schema, whole=kind == "integer")
        if kind == "string":
            return _text(schema)
        return {"boolean": False, "null": None}[kind]

    def _first(self, choices: Iterable[dict[str, Any]], inside: frozenset[str]) -> Any:
        """Return the value of the first choice that has one."""
        problem = ValueError("the schema has no choices")
        for choice in choices:
            try:
                return self._value(choice, inside)
            except ValueError as error:
                problem = error
        raise problem

    def _resolved(self, schema: Any, inside: frozenset[str]) -> tuple[dict[str, Any], frozenset[str]]:
        """Resolve ``$ref`` and ``allOf``: return one schema with the keywords of all."""
        if not isinstance(schema, dict):
            if schema is True:
                return {}, inside
            raise ValueError("the schema allows nothing")
        resolved = {key: value for key, value in schema.items() if key not in {"$ref", "allOf", "const"}}
        if "const" in schema:
            resolved["enum"] = [schema["const"]]
        parts = list(schema.get("allOf", ()))
        if reference := schema.get("$ref"):
            if reference in inside:
                raise ValueError("the schema leads back to itself")
            inside |= {reference}
            parts.append(self._referred(reference))
        for part in parts:
            keywords, inside = self._resolved(part, inside)
            for key, value in keywords.items():
                both = _BOTH.get(key) if key in resolved else None
                resolved[key] = both(resolved[key], value) if both else resolved.get(key, value)
        return resolved, inside

    def _referred(self, reference: str) -> Any:
        found: Any = self._root
        start, *names = reference.split("/")
        for name in names:
            key = unquote(name).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list):
                found = {str(index): value for index, value in enumerate(found)}
            found = found.get(key) if isinstance(found, dict) else None
        if start != "#" or found is None:
            raise ValueError(f"the schema has no {reference}")
        return found


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    """Return whether a value that is listed has the type and the size that are asked for beside the list."""
    kinds = schema.get("type")
    if kinds is not None and not _TYPES[type(value)].intersection([kinds] if isinstance(kinds, str) else kinds):
        return False
    if isinstance(value, str):
        return bool(schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf))
    return not isinstance(value, int | float) or _within(value, schema)


def _within(number: float, schema: dict[str, Any]) -> bool:
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    within = schema.get("minimum", -math.inf) <= number <= schema.get("maximum", math.inf)
    return bool(within and above < number < below)


def _bounded(least: int) -> int:
    if least > _LARGEST:
        raise ValueError(f"the sandbox makes nothing of more than {_LARGEST} items or characters")
    return least


def _number(schema: dict[str, Any], *, whole: bool) -> int | float:
    step = schema.get("multipleOf", 1 if whole else None)
    lowest, highest = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    bottom, top = max(lowest, above), min(highest, below)
    candidates: list[float] = [0, bottom, top]
    if step:
        candidates = [0, math.ceil(bottom / step) * step if bottom > -math.inf else 0]
        candidates += [candidates[1] + step, math.floor(top / step) * step - step if top < math.inf else 0]
    elif math.isfinite(bottom) and math.isfinite(top):
        candidates.append((bottom + top) / 2)
    else:
        candidates += [bottom + 1, top - 1]
    for each in candidates:
        if math.isfinite(each) and _within(each, schema):
            return int(each) if each == int(each) else each
    raise ValueError("the schema allows no number")


def _text(schema: dict[str, Any]) -> str:
    shortest, longest = _bounded(schema.get("minLength", 0)), schema.get("maxLength", math.inf)
    if pattern := schema.get("pattern"):
        candidates = [_matching(pattern), *_FORMATS.values(), _TEXT.ljust(shortest, ".")]
    elif schema.get("format") in _FORMATS:
        candidates = [_FORMATS[schema["format"]]]
    else:
        candidates = [_TEXT.ljust(shortest, "."), _TEXT[:shortest]]
    for text in candidates:
        if shortest <= len(text) <= longest and re.search(pattern or "", text):
            return text
    raise ValueError("the sandbox found no text that the schema allows")


def _matching(pattern: str) -> str:
    """Return a short text that a regular expression matches, or so it seems: what it looks around for is ignored."""
    parser: Any = importlib.import_module("re._parser")  # how Python itself reads one; it has no types
    try:
        return "".join(map(_written, parser.parse(pattern)))
    except re.error as error:
        raise ValueError(f"pattern: {error}") from error


def _written(part: tuple[Any, Any]) -> str:
    """Write one part of a parsed regular expression."""
    kind, value = str(part[0]), part[1]
    if kind == "LITERAL":
        return chr(value)
    if kind in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        least, _, repeated = value
        return "".join(map(_written, repeated)) * _bounded(least)
    if kind in {"SUBPATTERN", "ATOMIC_GROUP"}:
        return "".join(map(_written, value[-1] if kind == "SUBPATTERN" else value))
    if kind == "BRANCH":
        return "".join(map(_written, value[1][0]))
    if kind in {"IN", "NOT_LITERAL", "ANY"}:
        allowed = value if kind == "IN" else [part]
        negated = str(allowed[0][0]) == "NEGATE"
        own = [chr(code) for item in allowed for code in _codes(item)]
        return next((each for each in [*own, *_CHARACTERS] if any(_allows(a, each) for a in allowed) != negated), "")
    return ""  # an anchor, or something to look around for


def _codes(item: tuple[Any, Any]) -> tuple[int, ...]:
    kind, value = str(item[0]), item[1]
    return (value,) if kind == "LITERAL" else (value[0],) if kind == "RANGE" else ()


def _allows(item: tuple[Any, Any], character: str) -> bool:
    """Return whether one part of a set of characters contains a character."""
    kind, value = str(item[0]), item[1]
    if kind == "RANGE":
        return bool(value[0] <= ord(character) <= value[1])
    if kind == "CATEGORY":
        name = str(value).removeprefix("CATEGORY_")
        found = re.match({"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[name.removeprefix("NOT_")], character)
        return bool(found) != name.startswith("NOT_")
    if kind in {"LITERAL", "NOT_LITERAL"}:
        return (chr(value) == character) == (kind == "LITERAL")
    return kind == "ANY"
