"""A simulated message batch: its fields, and its state at any moment.

Nothing runs in the background. A batch has a few instants, set when it is created or canceled, and its state at any
moment is computed from them. So ten thousand batches cost nothing until a client asks for one.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .outcomes import result_line

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR

EXPIRES_AFTER = DAY  # API reference: Message Batch, expires_at
ARCHIVED_AFTER = 29 * DAY  # batch processing guide: results can be fetched for 29 days after creation

DEFAULT_WORKSPACE = "wrkspc_default"
DOCUMENTED_ID = "msgbatch_013Zva2CMHLNnXjNJJKqJ2EF"

_GENERATED_REQUEST_MODEL = "claude-sonnet-5-5"


@dataclass(kw_only=True, eq=False)
class SimulatedBatch:
    """One simulated batch. All instants are seconds since the epoch."""

    id: str
    workspace: str = DEFAULT_WORKSPACE
    size: int
    created: float
    work_start: float  # of the simulated processing
    work_end: float  # unless the batch is canceled or expires
    done_at_start: float = 0.0  # the share of the requests
    in_flight: float = 1  # requests processed at a time, which a cancel does not interrupt
    wind_down: float = 0.0  # seconds from a cancel until the requests in flight are done
    failing: Sequence[int] = ()  # the positions of the requests that fail, in ascending order
    requests: list[dict[str, Any]] | None = None  # None if they are generated
    cancel_at: float | None = None
    cancel_end: float = math.inf

    def ended_at(self, now: float) -> float | None:
        """Return when processing ended, or None if it has not by now."""
        end = self.work_end if self.cancel_at is None else self.cancel_end
        end = min(end, self.created + EXPIRES_AFTER)
        return end if end <= now else None

    def status(self, now: float) -> str:
        """Return the processing status."""
        if self.ended_at(now) is not None:
            return "ended"
        return "in_progress" if self.cancel_at is None else "canceling"

    def completed(self, now: float) -> int:
        """Return how many requests have been processed. The API does not say this before the batch has ended."""
        stopped = min(now, self.created + EXPIRES_AFTER, self.cancel_at or math.inf)
        left = 1 - self.done_at_start
        passed = (stopped - self.work_start) / max(self.work_end - self.work_start, 1e-9)
        done = self.size * min(1.0, max(0.0, self.done_at_start + left * passed))
        if self.cancel_at is not None and self.ended_at(now) is not None:
            done += self.in_flight
        return min(math.floor(done), self.size)

    def counts(self, now: float) -> dict[str, int]:
        """Return the request counts. Every request counts as processing until the whole batch has ended."""
        counts = {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
        if self.ended_at(now) is None:
            counts["processing"] = self.size
            return counts
        done = self.completed(now)
        counts["errored"] = bisect_left(self.failing, done)
        counts["succeeded"] = done - counts["errored"]
        counts[self._outcome_of_the_rest()] = self.size - done
        return counts

    def cancel(self, now: float) -> None:
        """Cancel the batch. A second cancel changes nothing."""
        if self.cancel_at is None:
            self.cancel_at, self.cancel_end = now, now + self.wind_down

    def finish(self, now: float) -> None:
        """End the batch now. One that has ended stays as it is."""
        if self.ended_at(now) is not None:
            return
        if self.cancel_at is None:
            self.done_at_start, self.work_end = 1.0, now
        else:
            self.cancel_end = now

    def archived_at(self, now: float) -> float | None:
        """Return when the results were archived, or None if they can still be fetched."""
        at = self.created + ARCHIVED_AFTER
        return at if at <= now else None

    def describe(self, now: float, results_url: str) -> dict[str, Any]:
        """Return the batch as the API shows it (API reference: Message Batch)."""
        ended, archived = self.ended_at(now), self.archived_at(now)
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": self.status(now),
            "request_counts": self.counts(now),
            "created_at": _timestamp(self.created),
            "expires_at": _timestamp(self.created + EXPIRES_AFTER),
            "archived_at": _timestamp(archived),
            "cancel_initiated_at": _timestamp(self.cancel_at),
            "ended_at": _timestamp(ended),
            "results_url": results_url if ended is not None and archived is None else None,
        }

    def results(self, now: float) -> Iterator[dict[str, Any]]:
        """Yield the lines of the results, in a different order from the requests."""
        done = self.completed(now)
        rest = self._outcome_of_the_rest()
        stride = max(1, int(self.size * 0.618))
        while math.gcd(stride, self.size) != 1:
            stride += 1
        for step in range(self.size):
            index = step * stride % self.size
            request = self._request(index)
            errored = bisect_left(self.failing, index + 1) > bisect_left(self.failing, index)
            outcome = rest if index >= done else "errored" if errored else "succeeded"
            number = f"{self.id[-12:]}{index:06d}"
            yield result_line(request["custom_id"], outcome, request["params"], number=number, now=self.created)

    def _request(self, index: int) -> dict[str, Any]:
        if self.requests is not None:
            return self.requests[index]
        question = f"Question {index} of the simulated batch {self.id}?"
        messages = [{"role": "user", "content": question}]
        params = {"model": _GENERATED_REQUEST_MODEL, "max_tokens": 1024, "messages": messages}
        return {"custom_id": f"request-{index:05d}", "params": params}

    def _outcome_of_the_rest(self) -> str:
        return "expired" if self.cancel_at is None else "canceled"


class DocumentedBatch(SimulatedBatch):
    """The batch of the API's published examples. It never ends.

    Once canceled it has the values of the examples. Like the examples, and unlike other simulated batches, it counts
    each request as soon as that is done. The examples do not show the counts before the cancel; these are made up.
    """

    def __init__(self) -> None:
        created = datetime(2024, 8, 20, 18, 37, 24, tzinfo=UTC).timestamp()
        super().__init__(id=DOCUMENTED_ID, size=100, created=created, work_start=created, work_end=math.inf)

    def ended_at(self, now: float) -> None:
        """Return None, since this batch never ends."""

    archived_at = ended_at

    def completed(self, now: float) -> int:
        """Return how many requests have been processed, by the counts."""
        return self.size - self.counts(now)["processing"]

    def counts(self, now: float) -> dict[str, int]:
        """Return the request counts: the documented ones once the batch is canceled."""
        values = (60, 36, 4, 0, 0) if self.cancel_at is None else (50, 40, 5, 5, 0)
        return dict(zip(("processing", "succeeded", "errored", "canceled", "expired"), values, strict=True))

    def describe(self, now: float, results_url: str) -> dict[str, Any]:
        """Return the batch with the documented fraction of a second, which its ``created_at`` lacks."""
        return {**super().describe(now, results_url), "expires_at": "2024-08-21T18:37:24.100435Z"}

    def finish(self, now: float) -> None:
        """Raise a ValueError, since this batch never ends."""
        raise ValueError(f"{self.id} is the batch of the API's examples, which never ends")

    def cancel(self, now: float) -> None:
        """Cancel the batch at the documented moment."""
        self.cancel_at = datetime(2024, 8, 20, 19, tzinfo=UTC).timestamp()


def _timestamp(at: float | None) -> str | None:
    """Format an instant as the API does: RFC 3339, in UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
