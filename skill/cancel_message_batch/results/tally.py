"""What the lines of the results say: counts, errors, tokens, and which requests are to be sent again."""

import re
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from cancel_message_batch.api.errors import clean

from .failing import fails_again
from .lines import identity, parsed
from .prices import AS_OF, cost

TYPES = ("succeeded", "errored", "canceled", "expired")
# API reference: stop_reason; for pause_turn, the batch processing guide: "the turn did not finish".
UNFINISHED = frozenset({"max_tokens", "refusal", "model_context_window_exceeded", "pause_turn"})
KEEP, RESUBMIT, INVALID = range(3)  # what becomes of a request that has a result

_BUCKETS = 256
_GROUPS = 200  # kinds of errors, models or unknown types that are told apart
_TOKENS = (
    ("input", "input_tokens"),
    ("output", "output_tokens"),
    ("cache_write", "cache_creation_input_tokens"),
    ("cache_read", "cache_read_input_tokens"),
)
_NO_TOKENS = dict.fromkeys((*(name for name, _ in _TOKENS), "cache_write_1h"), 0)


class Fates:
    """What is to become of each request that has a result, in 9 bytes a request. ``Tally`` fills the buckets.

    A custom_id that stands in several lines keeps the fate of the first in this order: keep, resubmit, invalid. So a
    request that has succeeded once is not sent again.
    """

    def __init__(self, buckets: "list[array[int]]") -> None:
        self._buckets = buckets
        self._met: list[bytearray] = []

    def sort(self) -> int:
        """Make ``find`` possible; return how many lines repeat the custom_id of another one."""
        repeated = 0
        for number, bucket in enumerate(self._buckets):
            first = {entry >> 3: entry for entry in sorted(bucket, reverse=True)}  # the smallest of each is kept
            repeated += len(bucket) - len(first)
            self._buckets[number] = array("Q", sorted(first.values()))
        self._met = [bytearray(len(bucket)) for bucket in self._buckets]
        return repeated

    def find(self, key: int) -> tuple[int | None, bool]:
        """Return what becomes of a request, None without a result, and whether it was asked for before."""
        bucket, met = self._buckets[key % _BUCKETS], self._met[key % _BUCKETS]
        at = bisect_left(bucket, key << 3)
        if at == len(bucket) or bucket[at] >> 3 != key:
            return None, False
        again, met[at] = bool(met[at]), 1
        return bucket[at] & 7, again

    def never_found(self) -> list[int]:
        """Count the requests that nobody asked for, by what becomes of them."""
        numbers = [0, 0, 0]
        for bucket, met in zip(self._buckets, self._met, strict=True):
            for entry, asked in zip(bucket, met, strict=True):
                numbers[entry & 7] += not asked
        return numbers

    def met(self) -> int:
        """Count the requests that were asked for."""
        return sum(map(sum, self._met))


class Tally:
    """Adds up the lines of the results.

    Args:
        retry: The types of results whose requests are to be sent again, or ``all``.
    """

    def __init__(self, retry: Collection[str]) -> None:
        self._all = "all" in retry
        self._fates = {kind: RESUBMIT if self._all or kind in retry else KEEP for kind in TYPES}
        self._buckets = [array("Q") for _ in range(_BUCKETS)]
        self.fates = Fates(self._buckets)
        self.lines = 0
        self.counts = dict.fromkeys(TYPES, 0)
        self.unknown: Counter[str] = Counter()
        self.fated = [0, 0, 0]
        self.unreadable = 0
        self.nameless = 0
        self.repeated = 0
        self._errors: dict[tuple[str, str], dict[str, Any]] = {}
        self._seen_errors: dict[tuple[str, str], tuple[dict[str, Any], bool]] = {}
        self._unfinished: dict[str, dict[str, Any]] = {}
        self._tokens: dict[str, dict[str, int]] = {}

    def read(self, lines: Iterable[bytes]) -> Iterator[tuple[bytes, str, int, str]]:
        """Add lines; yield each one with the type of its result, what becomes of the request, and the custom_id.

        This runs 100,000 times for a full batch, so it does the common things first.
        """
        fates, counts, buckets, fated = self._fates, self.counts, self._buckets, self.fated
        for line in lines:
            if line.isspace():
                continue
            self.lines += 1
            try:
                entry = parsed(line)
                result = entry["result"]
                kind = result.get("type")
                custom_id = entry.get("custom_id")
            except (ValueError, TypeError, KeyError, AttributeError):
                self.unreadable += 1
                yield line, "unreadable", KEEP, ""
                continue
            if custom_id.__class__ is not str:
                custom_id = ""
            fate = fates.get(kind) if kind.__class__ is str else None
            if fate is None:
                fate = RESUBMIT if self._all else KEEP
                kind = _bounded(self.unknown, clean(str(kind), limit=40))
                self.unknown[kind] += 1
            else:
                counts[kind] += 1
                if kind == "succeeded":
                    self._succeeded(result.get("message"), custom_id)
                elif kind == "errored":
                    fate = self._errored(result.get("error"), custom_id, fate)
            if custom_id:
                key = identity(custom_id)
                buckets[key % _BUCKETS].append(key << 3 | fate)
                fated[fate] += 1
            else:
                self.nameless += 1
            yield line, kind, fate, custom_id

    def _succeeded(self, message: Any, custom_id: str) -> None:
        if message.__class__ is not dict:
            return
        reason = message.get("stop_reason")
        if reason.__class__ is str and reason in UNFINISHED:
            group = self._unfinished.setdefault(reason, {"count": 0, "example": _shown(custom_id)})
            group["count"] += 1
        usage, model = message.get("usage"), message.get("model")
        if usage.__class__ is not dict or model.__class__ is not str:
            return
        tokens = self._tokens.get(model)
        if tokens is None:
            named = _bounded(self._tokens, clean(model, limit=80))
            tokens = self._tokens.setdefault(named, _NO_TOKENS.copy())
        for name, field in _TOKENS:
            if (number := usage.get(field)).__class__ is int:
                tokens[name] += number
        written = usage.get("cache_creation")
        if written.__class__ is dict and (number := written.get("ephemeral_1h_input_tokens")).__class__ is int:
            tokens["cache_write_1h"] += number

    def _errored(self, envelope: Any, custom_id: str, fate: int) -> int:
        error = envelope.get("error") if isinstance(envelope, dict) else None
        error = error if isinstance(error, dict) else envelope if isinstance(envelope, dict) else {}
        kind, message = str(error.get("type") or "unknown"), str(error.get("message") or "no explanation")
        known = self._seen_errors.get((kind, message))
        if known is None:
            known = self._group(kind, message, custom_id), fails_again(kind, message)
            if len(self._seen_errors) < _GROUPS:  # thousands of lines have the same few messages
                self._seen_errors[kind, message] = known
        group, certain = known
        group["count"] += 1
        return INVALID if certain and not self._all else fate

    def _group(self, kind: str, message: str, custom_id: str) -> dict[str, Any]:
        shown = {"type": clean(kind, limit=60), "message": clean(message)}
        # Positions and lengths differ from request to request where the fault is the same.
        key = shown["type"], re.sub(r"\d+", "#", shown["message"])
        certain = fails_again(kind, message)
        if key not in self._errors and len(self._errors) >= _GROUPS:
            key, shown, certain = ("", ""), {"type": "others", "message": "more kinds of errors"}, False
        new = {**shown, "count": 0, "example": _shown(custom_id), "fails_again": certain}
        return self._errors.setdefault(key, new)

    def described(self) -> dict[str, Any]:
        """Return what ``summary.json`` says about the results."""
        tokens = {model: _priced(model, used) for model, used in sorted(self._tokens.items())}
        known = [used["estimated_usd"] for used in tokens.values() if used["estimated_usd"] is not None]
        return {
            "results": self.lines,
            "counts": self.counts,
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


def _priced(model: str, tokens: dict[str, int]) -> dict[str, Any]:
    spent = cost(model, tokens)
    return {**tokens, "estimated_usd": None if spent is None else round(spent, 6)}


def _bounded(groups: Mapping[str, Any], name: str) -> str:
    return name if name in groups or len(groups) < _GROUPS else "others"


def _shown(custom_id: str) -> str:
    return clean(custom_id, limit=64)
