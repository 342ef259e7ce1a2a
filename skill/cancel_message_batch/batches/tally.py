"""What the lines of the results say: counts, errors, tokens, and which requests are to be sent again."""

import re
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Literal

from cancel_message_batch.api.errors import clean

from .failing import fails_again
from .lines import identity, parsed
from .prices import AS_OF, cost

TYPES = ("succeeded", "errored", "canceled", "expired")
UNFINISHED = frozenset({"max_tokens", "refusal", "model_context_window_exceeded"})  # API reference: stop_reason
Fate = Literal["keep", "resubmit", "invalid"]

_FATES: tuple[Fate, ...] = ("keep", "resubmit", "invalid")
_BUCKETS = 256
_GROUPS = 200  # kinds of errors, models or unknown types that are told apart
_TOKENS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_write": "cache_creation_input_tokens",
    "cache_read": "cache_read_input_tokens",
}


class Fates:
    """What is to become of each request that has a result, in 9 bytes a request.

    A custom_id that stands in several lines keeps the fate of the first in this order: keep, resubmit, invalid. So a
    request that has succeeded once is not sent again.
    """

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(_BUCKETS)]
        self._met: list[bytearray] = []

    def add(self, custom_id: str, fate: Fate) -> None:
        """Note what becomes of a request."""
        key = identity(custom_id)
        self._buckets[key % _BUCKETS].append(key << 3 | _FATES.index(fate))

    def sort(self) -> int:
        """Make ``find`` possible; return how many lines repeat the custom_id of another one."""
        repeated = 0
        for number, bucket in enumerate(self._buckets):
            ordered = array("Q", sorted(bucket))
            self._buckets[number] = array("Q")
            previous = -1
            for entry in ordered:
                if entry >> 3 == previous:
                    repeated += 1
                else:
                    self._buckets[number].append(entry)
                previous = entry >> 3
        self._met = [bytearray(len(bucket)) for bucket in self._buckets]
        return repeated

    def find(self, key: int) -> tuple[Fate | None, bool]:
        """Return what becomes of a request, None without a result, and whether it was asked for before."""
        bucket, met = self._buckets[key % _BUCKETS], self._met[key % _BUCKETS]
        at = bisect_left(bucket, key << 3)
        if at == len(bucket) or bucket[at] >> 3 != key:
            return None, False
        again, met[at] = bool(met[at]), 1
        return _FATES[bucket[at] & 7], again

    def unmet(self, custom_id: str) -> bool:
        """Return whether nobody has asked for this request."""
        key = identity(custom_id)
        bucket = self._buckets[key % _BUCKETS]
        return not self._met[key % _BUCKETS][bisect_left(bucket, key << 3)]

    def never_found(self, fate: Fate | None = None) -> int:
        """Count the requests, of one fate or all, that nobody asked for."""
        return sum(
            not met[at] and (fate is None or _FATES[entry & 7] == fate)
            for bucket, met in zip(self._buckets, self._met, strict=True)
            for at, entry in enumerate(bucket)
        )

    def met(self) -> int:
        """Count the requests that were asked for."""
        return sum(map(sum, self._met))


class Tally:
    """Adds up the lines of the results.

    Args:
        retry: The types of results whose requests are to be sent again, or ``all``.
    """

    def __init__(self, retry: Collection[str]) -> None:
        self._retry = frozenset(retry)
        self.fates = Fates()
        self.lines = 0
        self.counts: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.fated: Counter[str] = Counter()
        self.unreadable = 0
        self.nameless = 0
        self.repeated = 0
        self._errors: dict[tuple[str, str], dict[str, Any]] = {}
        self._unfinished: dict[str, dict[str, Any]] = {}
        self._tokens: dict[str, Counter[str]] = {}

    def add(self, line: bytes) -> tuple[str, Fate, str]:
        """Add a line; return the type of its result, what becomes of the request, and the custom_id."""
        self.lines += 1
        try:
            entry = parsed(line)
        except ValueError:
            entry = None
        result = entry.get("result") if isinstance(entry, dict) else None
        if not isinstance(result, dict):
            self.unreadable += 1
            return "unreadable", "keep", ""
        kind, custom_id = result.get("type"), entry.get("custom_id")
        if not isinstance(custom_id, str):
            custom_id = ""
        fate: Fate = "resubmit" if kind in self._retry or "all" in self._retry else "keep"
        if kind == "succeeded":
            self._succeeded(result.get("message"), custom_id)
        elif kind == "errored":
            fate = self._errored(result.get("error"), custom_id, fate)
        if isinstance(kind, str) and kind in TYPES:
            self.counts[kind] += 1
        else:
            kind = _bounded(self.unknown, clean(str(kind), limit=40))
            self.unknown[kind] += 1
        if custom_id:
            self.fates.add(custom_id, fate)
            self.fated[fate] += 1
        else:
            self.nameless += 1
        return kind, fate, custom_id

    def _succeeded(self, message: Any, custom_id: str) -> None:
        if not isinstance(message, dict):
            return
        reason = message.get("stop_reason")
        if isinstance(reason, str) and reason in UNFINISHED:
            group = self._unfinished.setdefault(reason, {"count": 0, "example": _shown(custom_id)})
            group["count"] += 1
        usage, model = message.get("usage"), message.get("model")
        if not isinstance(usage, dict) or not isinstance(model, str):
            return
        tokens = self._tokens.get(model)
        if tokens is None:
            tokens = self._tokens.setdefault(_bounded(self._tokens, clean(model, limit=80)), Counter())
        for name, field in _TOKENS.items():
            number = usage.get(field)
            if number.__class__ is int:
                tokens[name] += number
        written = usage.get("cache_creation")
        if isinstance(written, dict) and (number := written.get("ephemeral_1h_input_tokens")).__class__ is int:
            tokens["cache_write_1h"] += number

    def _errored(self, envelope: Any, custom_id: str, fate: Fate) -> Fate:
        error = envelope.get("error") if isinstance(envelope, dict) else None
        error = error if isinstance(error, dict) else envelope if isinstance(envelope, dict) else {}
        kind, message = error.get("type"), error.get("message")
        certain = fails_again(kind, message)
        if certain and "all" not in self._retry:
            fate = "invalid"
        shown_kind, shown = clean(str(kind or "unknown"), limit=60), clean(str(message or "no explanation"))
        # Positions and lengths differ from request to request where the fault is the same.
        key = shown_kind, re.sub(r"\d+", "#", shown)
        if key not in self._errors and len(self._errors) >= _GROUPS:
            key, shown = (shown_kind[:0], ""), "other errors"
        group = self._errors.setdefault(
            key,
            {
                "type": shown_kind,
                "message": shown,
                "count": 0,
                "example": _shown(custom_id),
                "fails_again": certain,
            },
        )
        group["count"] += 1
        return fate

    def described(self) -> dict[str, Any]:
        """Return what ``summary.json`` says about the results."""
        tokens = {model: _priced(model, used) for model, used in sorted(self._tokens.items())}
        known = [used["estimated_usd"] for used in tokens.values() if used["estimated_usd"] is not None]
        return {
            "results": self.lines,
            "counts": {kind: self.counts[kind] for kind in TYPES},
            "unknown_types": dict(self.unknown),
            "unreadable_lines": self.unreadable,
            "lines_without_custom_id": self.nameless,
            "repeated_custom_ids": self.repeated,
            "errors": sorted(self._errors.values(), key=lambda group: -group["count"]),
            "unfinished": self._unfinished,
            "tokens": tokens,
            "estimate": {
                "usd": round(sum(known), 6) if known else None,
                "prices_as_of": AS_OF,
                "models_without_price": [name for name, used in tokens.items() if used["estimated_usd"] is None],
            },
        }


def _priced(model: str, used: Counter[str]) -> dict[str, Any]:
    tokens = {name: used[name] for name in (*_TOKENS, "cache_write_1h")}
    spent = cost(model, tokens)
    return {**tokens, "estimated_usd": None if spent is None else round(spent, 6)}


def _bounded(groups: Mapping[str, Any], name: str) -> str:
    return name if name in groups or len(groups) < _GROUPS else "others"


def _shown(custom_id: str) -> str:
    return clean(custom_id, limit=64)
