"""What the lines of the results say: counts, errors, tokens, and what is to become of each request."""

import functools
import re
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from cancel_message_batch.api.errors import clean

from .failing import fails_again
from .lines import parsed
from .prices import PRICED_TOGETHER, batch_cost

TYPES = ("succeeded", "errored", "canceled", "expired")
# API reference: stop_reason; for pause_turn, the batch processing guide: "the turn did not finish".
UNFINISHED = frozenset({"max_tokens", "refusal", "model_context_window_exceeded", "pause_turn"})
# What becomes of a request that has a result. Where a custom_id has several results, the smallest number holds: a
# request that has succeeded once is not sent again. FOUND is for a request that was found in the requests file since.
KEEP, RESUBMIT, INVALID, FOUND = range(4)

_GROUPS = 200  # kinds of errors, models or unknown types that are listed
_FIELDS = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_TOKENS = ("input", "output", "cache_write", "cache_read", "cache_write_1h")


class Tally:
    """Adds up the lines of the results. Requests with results of the types in ``retry`` are to be sent again."""

    def __init__(self, retry: Collection[str]) -> None:
        self._all = "all" in retry
        self._usual = {kind: RESUBMIT if self._all or kind in retry else KEEP for kind in TYPES}
        self.decisions: dict[str, int] = {}  # what becomes of each request, by custom_id, in the order of the results
        self.counts = dict.fromkeys(TYPES, 0)
        self.lines = self.invalid = self._unreadable = self._without_custom_id = self._repeated = 0
        self._unknown: Counter[str] = Counter()
        self._errors: dict[tuple[str, str], dict[str, Any]] = {}
        self._unfinished: dict[str, dict[str, Any]] = {}
        self._tokens: dict[str, dict[int, list[int]]] = {}  # by model, then by the length of the prompt

    def add(self, line: bytes) -> tuple[str, int]:
        """Add a line; return the type of its result and what becomes of the request."""
        self.lines += 1
        try:
            entry = parsed(line)
            result, custom_id = entry["result"], entry.get("custom_id")
            kind = result.get("type")
        except (TypeError, KeyError, AttributeError):
            self._unreadable += 1
            return "unreadable", KEEP
        custom_id = custom_id if isinstance(custom_id, str) else ""
        decision = self._usual.get(kind) if isinstance(kind, str) else None
        if decision is None:
            decision = RESUBMIT if self._all else KEEP
            kind = _listed(self._unknown, clean(str(kind), limit=40))
            self._unknown[kind] += 1
        else:
            self.counts[kind] += 1
            if kind == "succeeded":
                self._succeeded(result.get("message"), custom_id)
            elif kind == "errored" and self._errored(result.get("error"), custom_id) and not self._all:
                decision = INVALID
                self.invalid += 1
        if not custom_id:
            self._without_custom_id += 1
        elif custom_id not in self.decisions:
            self.decisions[custom_id] = decision
        else:
            self._repeated += 1
            self.decisions[custom_id] = min(decision, self.decisions[custom_id])
        return kind, decision

    def _succeeded(self, message: Any, custom_id: str) -> None:
        message = message if isinstance(message, dict) else {}
        reason, usage, model = message.get("stop_reason"), message.get("usage"), message.get("model")
        if isinstance(reason, str) and reason in UNFINISHED:
            self._unfinished.setdefault(reason, {"count": 0, "example": clean(custom_id, limit=64)})["count"] += 1
        if not isinstance(usage, dict) or not isinstance(model, str):
            return
        hour = usage.get("cache_creation")
        given = [*map(usage.get, _FIELDS), hour.get("ephemeral_1h_input_tokens") if isinstance(hour, dict) else 0]
        uncached, output, written, read, written_1h = [n if isinstance(n, int) else 0 for n in given]
        groups = self._tokens.get(model)
        if groups is None:
            groups = self._tokens.setdefault(_listed(self._tokens, clean(model, limit=80)), {})
        thousands = -(-(uncached + written + read) // PRICED_TOGETHER)
        sums = groups.get(thousands) or groups.setdefault(thousands, [0] * 6)
        sums[0] += 1
        sums[1] += uncached
        sums[2] += output
        sums[3] += written
        sums[4] += read
        sums[5] += written_1h

    def _errored(self, envelope: Any, custom_id: str) -> bool:
        """Add an error; return whether the request certainly fails again."""
        envelope = envelope if isinstance(envelope, dict) else {}
        error = inner if isinstance(inner := envelope.get("error"), dict) else envelope
        key, shown = _described(str(error.get("type") or "unknown"), str(error.get("message") or "no explanation"))
        again: bool = shown["fails_again"]
        if key not in self._errors:
            if len(self._errors) >= _GROUPS:
                key, shown = _described("others", "more kinds of errors")
            self._errors.setdefault(key, {**shown, "count": 0, "example": clean(custom_id, limit=64)})
        self._errors[key]["count"] += 1
        return again

    def described(self, when: datetime) -> dict[str, Any]:
        """Return what ``summary.json`` says about the results of a batch that was processed at this time."""
        from genai_prices import __version__ as version

        tokens: dict[str, dict[str, Any]] = {}
        for model, groups in sorted(self._tokens.items()):
            _, *sums = map(sum, zip(*groups.values(), strict=True))
            estimated = batch_cost(model, groups.values(), when)
            tokens[model] = {**dict(zip(_TOKENS, sums, strict=True)), "estimated_usd": estimated}
        known = [used["estimated_usd"] for used in tokens.values() if used["estimated_usd"] is not None]
        return {
            "results": self.lines,
            "counts": self.counts,
            "unknown_types": dict(self._unknown),
            "unreadable_lines": self._unreadable,
            "lines_without_custom_id": self._without_custom_id,
            "repeated_custom_ids": self._repeated,
            "invalid": self.invalid,
            "errors": sorted(self._errors.values(), key=lambda group: -group["count"]),
            "unfinished": self._unfinished,
            "tokens": tokens,
            "estimate": {
                "usd": round(sum(known), 6) if known else None,
                "prices": f"genai-prices {version}",
                "models_without_price": [name for name, used in tokens.items() if used["estimated_usd"] is None],
            },
        }


@functools.lru_cache(maxsize=_GROUPS)  # thousands of lines have the same few messages
def _described(kind: str, message: str) -> tuple[tuple[str, str], dict[str, Any]]:
    """Return what an error is counted under, and what is shown of it."""
    shown, text = clean(kind, limit=60), clean(message)
    # Positions and lengths differ from request to request where the fault is the same.
    key = shown, re.sub(r"\d+", "#", text)
    return key, {"type": shown, "message": text, "fails_again": fails_again(kind, message)}


def _listed(groups: Mapping[str, Any], name: str) -> str:
    return name if name in groups or len(groups) < _GROUPS else "others"
