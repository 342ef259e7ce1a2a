"""The sandbox's account: simulated message batches, and the clock they live by.

Nothing runs in the background. A batch is a handful of instants, fixed when it is created or canceled; its state at
any moment follows from them. So ten thousand batches cost nothing until somebody asks.

Ages, expiry and archiving go by the clock. Only the processing is quicker than the real service's, by the account's
``speed``: at 60, what takes the service an hour takes a minute.
"""

import math
import random
import string
import threading
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self

from .results import params_fault, result_line

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR

LARGEST_BATCH = 100_000  # requests; batch processing guide
EXPIRES_AFTER = DAY  # API reference: Message Batch, expires_at
ARCHIVED_AFTER = 29 * DAY  # batch processing guide: results can be fetched for 29 days after creation

DEFAULT_WORKSPACE = "wrkspc_default"
DOCUMENTED_ID = "msgbatch_013Zva2CMHLNnXjNJJKqJ2EF"
MODEL = "claude-sonnet-4-20250514"  # of the requests that nobody sent

# Dates end with the year 9999, and a batch's lie up to a month ahead.
_LAST_DAY = datetime(9990, 1, 1, tzinfo=UTC).timestamp()
_ID_CHARACTERS = string.digits + string.ascii_letters

Status = Literal["in_progress", "canceling", "ended", "canceled", "expired", "archived"]
"""How a simulated batch starts: canceled, expired and archived ones have ended."""

# The youngest a batch of a status is made, in seconds.
_YOUNGEST: dict[Status, float] = {
    "in_progress": 0.0,
    "canceling": 10 * MINUTE,
    "ended": 2 * HOUR,
    "canceled": 2 * HOUR,
    "expired": EXPIRES_AFTER + HOUR,
    "archived": ARCHIVED_AFTER + DAY,
}


class UnknownBatchError(LookupError):
    """The workspace has no batch of this id."""


class WrongStateError(Exception):
    """The batch's processing status does not allow this."""


@dataclass(kw_only=True, eq=False)
class Batch:
    """One simulated batch. All instants are seconds since the epoch.

    Args:
        id: Its id.
        number: How many batches the account had made before it.
        workspace: The workspace it belongs to.
        size: How many requests it has.
        created: When it was created.
        work_start: Since when its processing is simulated.
        work_end: When all requests will have been processed, if nothing comes between.
        done_at_start: The share of the requests that had been processed at ``work_start``.
        in_flight: How many requests are being processed at a time, and cannot be interrupted by a cancel.
        wind_down: Seconds from a cancel until those are done.
        error_every: Every how many requests one fails, 0 for never.
        requests: The requests of a batch that somebody created, None where they are made up.
        invalid: The positions of those that will fail.
        cancel_at: When a cancel came.
        cancel_end: When the batch ends because of it.
    """

    id: str
    number: int
    workspace: str
    size: int
    created: float
    work_start: float
    work_end: float
    done_at_start: float = 0.0
    in_flight: int = 1
    wind_down: float = 0.0
    error_every: int = 0
    requests: list[dict[str, Any]] | None = None
    invalid: list[int] = field(default_factory=list)
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
        """Return how many requests have been processed by now: what the API does not tell before the end."""
        stopped = min(now, self.created + EXPIRES_AFTER, self.cancel_at or math.inf)
        left = 1 - self.done_at_start
        passed = (stopped - self.work_start) / max(self.work_end - self.work_start, 1e-9)
        done = math.floor(self.size * min(1.0, max(0.0, self.done_at_start + left * passed)))
        if self.cancel_at is not None and self.ended_at(now) is not None:
            done += self.in_flight
        return min(done, self.size)

    def counts(self, now: float) -> dict[str, int]:
        """Return the request counts: everything counts as processing until the whole batch has ended.

        API reference: Message Batch, request_counts.
        """
        counts = {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
        if self.ended_at(now) is None:
            counts["processing"] = self.size
            return counts
        done = self.completed(now)
        counts["errored"] = self._errored_before(done)
        counts["succeeded"] = done - counts["errored"]
        counts[self._fate_of_the_rest()] = self.size - done
        return counts

    def cancel(self, now: float) -> None:
        """Take a cancel; one after the first changes nothing."""
        if self.cancel_at is None:
            self.cancel_at, self.cancel_end = now, now + self.wind_down

    def archived_at(self, now: float) -> float | None:
        """Return when the results were archived, or None if they can still be fetched."""
        at = self.created + ARCHIVED_AFTER
        return at if at <= now else None

    def describe(self, now: float, results_url: str) -> dict[str, Any]:
        """Return the batch as the API shows it (API reference: Message Batch).

        Args:
            now: When it is looked at.
            results_url: Where its results are, once it has any.
        """
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
        """Yield the lines of the results, in an order that is not the requests'."""
        done = self.completed(now)
        rest = self._fate_of_the_rest()
        stride = max(1, int(self.size * 0.618))
        while math.gcd(stride, self.size) != 1:
            stride += 1
        for step in range(self.size):
            index = step * stride % self.size
            request = self._request(index)
            errored = self._errored_before(index + 1) > self._errored_before(index)
            outcome = rest if index >= done else "errored" if errored else "succeeded"
            yield result_line(request["custom_id"], outcome, request["params"], f"{self.id[-12:]}{index:06d}")

    def _request(self, index: int) -> dict[str, Any]:
        if self.requests is not None:
            return self.requests[index]
        question = f"Question {index} of the simulated batch {self.id}?"
        params = {"model": MODEL, "max_tokens": 1024, "messages": [{"role": "user", "content": question}]}
        return {"custom_id": f"request-{index:05d}", "params": params}

    def _errored_before(self, index: int) -> int:
        if self.requests is not None:
            return bisect_left(self.invalid, index)
        return index // self.error_every if self.error_every else 0

    def _fate_of_the_rest(self) -> str:
        return "expired" if self.cancel_at is None else "canceled"


class DocumentedBatch(Batch):
    """The batch of the API's published examples, with the values they show once it is canceled. It never ends.

    Unlike the simulated ones it counts each request as it is done, as the examples do. What they do not show, its
    counts before the cancel, are fewer of the same hundred requests.
    """

    _CREATED = datetime(2024, 8, 20, 18, 37, 24, tzinfo=UTC).timestamp()
    _CANCELED = datetime(2024, 8, 20, 19, 0, 0, tzinfo=UTC).timestamp()
    _COUNTS = (60, 36, 4, 0, 0)
    _COUNTS_CANCELING = (50, 40, 5, 5, 0)

    def __init__(self, number: int) -> None:
        super().__init__(
            id=DOCUMENTED_ID,
            number=number,
            workspace=DEFAULT_WORKSPACE,
            size=sum(self._COUNTS),
            created=self._CREATED,
            work_start=self._CREATED,
            work_end=math.inf,
        )

    def ended_at(self, now: float) -> None:  # noqa: ARG002 - whenever
        """Return None: it goes on for ever."""
        return

    def archived_at(self, now: float) -> None:  # noqa: ARG002 - whenever
        """Return None: it goes on for ever."""
        return

    def completed(self, now: float) -> int:
        """Return how many requests have been processed, by its counts."""
        counts = self.counts(now)
        return sum(counts.values()) - counts["processing"]

    def counts(self, now: float) -> dict[str, int]:  # noqa: ARG002 - whenever
        """Return the request counts: the documented ones from its cancel on."""
        values = self._COUNTS if self.cancel_at is None else self._COUNTS_CANCELING
        return dict(zip(("processing", "succeeded", "errored", "canceled", "expired"), values, strict=True))

    def cancel(self, now: float) -> None:  # noqa: ARG002 - whenever
        """Take a cancel, at the documented moment."""
        self.cancel_at = self._CANCELED


class Account:
    """A simulated account: its workspaces' message batches, and its clock. Safe to use from several threads.

    Two accounts with the same seed that are asked the same make the same ids and draw the same numbers.

    Args:
        seed: Where ids and the simulation's numbers come from.
        speed: How many times faster than the real service requests are processed.
        clock: Tells the time, in seconds since the epoch.
    """

    def __init__(self, *, seed: int = 0, speed: float = 60.0, clock: Callable[[], float] = time.time) -> None:
        if not speed > 0 or math.isinf(speed):
            raise ValueError("speed must be a number above 0")
        self.speed = speed
        self._random = random.Random(seed)
        self._clock = clock
        self._offset = 0.0
        self._made = 0
        self._batches: dict[str, Batch] = {}
        self._order: dict[str, list[tuple[float, int, Batch]]] = {}  # by workspace, oldest first
        self._lock = threading.RLock()

    @classmethod
    def believable(cls, *, seed: int = 0, speed: float = 60.0, clock: Callable[[], float] = time.time) -> Self:
        """Make an account as it might be found: batches running, canceling and ended, and the documented one."""
        account = cls(seed=seed, speed=speed, clock=clock)
        account.add_documented()
        account.add(3_200, 40 * DAY, "archived")
        account.add(90_000, 3 * DAY, "expired", error_every=900)
        account.add(1_000, 2 * DAY, "ended", error_every=25)
        account.add(2_400, 1 * DAY + 3 * HOUR, "ended")
        account.add(60_000, 6 * HOUR + 12 * MINUTE, "in_progress", remaining=11 * HOUR, error_every=400)
        account.add(20_000, 5 * HOUR, "canceled", error_every=300)
        account.add(5_000, 2 * HOUR, "canceling", remaining=10 * HOUR, error_every=250)
        account.add(850, 38 * MINUTE, "in_progress", remaining=6 * HOUR)
        account.add(12_000, 4 * MINUTE, "in_progress", remaining=9 * HOUR, error_every=500)
        return account

    def now(self) -> float:
        """Tell the account's time, in seconds since the epoch."""
        return self._clock() + self._offset

    def advance(self, seconds: float) -> None:
        """Let time pass at once. An hour of it is an hour for ages, and ``speed`` hours of processing."""
        if not 0 <= seconds < math.inf:
            raise ValueError("time passes forwards only")
        with self._lock:
            if self.now() + seconds > _LAST_DAY:
                raise ValueError("that is beyond the year 9989")
            self._offset += seconds

    def add(
        self,
        requests: int,
        age: float = 0.0,
        status: Status = "in_progress",
        *,
        remaining: float = 12 * HOUR,
        error_every: int = 0,
        workspace: str = DEFAULT_WORKSPACE,
    ) -> str:
        """Add a simulated batch whose requests are made up.

        Args:
            requests: How many requests it has.
            age: Seconds since its creation; raised to the least that the status needs.
            status: What has become of it. An ended batch can also have been canceled before, be expired, or be
                archived: older than its results are kept.
            remaining: Seconds that the real service would still need, for one that is in progress or canceling.
            error_every: Every how many requests one fails, 0 for never.
            workspace: The workspace it belongs to.

        Returns:
            Its id.

        Raises:
            ValueError: There is no such status, it has no request, or one so old would have expired.
        """
        if status not in _YOUNGEST:
            raise ValueError(f"status must be one of {', '.join(_YOUNGEST)}")
        age = max(age, _YOUNGEST[status])
        if requests < 1 or (age >= EXPIRES_AFTER and status in {"in_progress", "canceling"}):
            raise ValueError("a batch has at least one request, and runs for a day at most")
        with self._lock:
            now = self.now()
            batch = self._make(requests, now - age, workspace)
            batch.error_every = error_every
            if status == "in_progress":
                batch.work_start, batch.work_end = now, now + remaining / self.speed
                batch.done_at_start = min(0.95, age / (age + remaining)) if age else 0.0
            elif status == "expired":
                batch.work_end = batch.created + EXPIRES_AFTER / 0.97
            elif status in {"canceling", "canceled"}:
                ran = age - 3 * MINUTE if status == "canceling" else min(age / 2, HOUR)
                batch.work_end = batch.created + ran / 0.4
                batch.cancel_at = batch.created + ran
                wound_down = batch.cancel_at + 4 * MINUTE
                batch.cancel_end = now + remaining / self.speed if status == "canceling" else wound_down
            else:
                batch.work_end = batch.created + min(self._work(requests), 0.8 * age)
            return self._keep(batch).id

    def add_documented(self) -> str:
        """Add the batch of the API's published examples.

        Returns:
            Its id.
        """
        with self._lock:
            return self._keep(DocumentedBatch(self._made)).id

    def create(self, requests: list[dict[str, Any]], workspace: str = DEFAULT_WORKSPACE) -> Batch:
        """Create a batch of requests, each with a ``custom_id`` and ``params``, and start processing it."""
        with self._lock:
            batch = self._make(len(requests), self.now(), workspace)
            batch.requests = requests
            batch.invalid = [index for index, request in enumerate(requests) if params_fault(request["params"])]
            return self._keep(batch)

    def get(self, batch_id: str, workspace: str = DEFAULT_WORKSPACE) -> Batch:
        """Find a batch.

        Raises:
            UnknownBatchError: The workspace has none of this id; another one's are as if they did not exist.
        """
        batch = self._batches.get(batch_id)
        if batch is None or batch.workspace != workspace:
            raise UnknownBatchError(batch_id)
        return batch

    def page(
        self,
        workspace: str = DEFAULT_WORKSPACE,
        *,
        limit: int = 20,
        after: str | None = None,
        before: str | None = None,
    ) -> tuple[list[Batch], bool]:
        """Return up to ``limit`` batches, newest first, and whether there are more in that direction.

        Args:
            workspace: Whose batches.
            limit: How many.
            after: Only those that follow this one in the list, hence older: the next page.
            before: Only those that precede this one, and of these the ones nearest to it: the previous page.

        Raises:
            UnknownBatchError: There is no such batch to start from.
        """
        with self._lock:
            order = self._order.get(workspace, [])
            if before is not None:
                start = self._position(before, workspace) + 1
                end = min(start + limit, len(order))
                more = end < len(order)
            else:
                end = len(order) if after is None else self._position(after, workspace)
                start = max(0, end - limit)
                more = start > 0
            return [batch for _, _, batch in reversed(order[start:end])], more

    def batches(self) -> list[Batch]:
        """Return all batches of all workspaces, in the order they were made."""
        with self._lock:
            return list(self._batches.values())

    def cancel(self, batch_id: str, workspace: str = DEFAULT_WORKSPACE) -> Batch:
        """Cancel a batch; one that is canceling already stays as it is.

        Raises:
            UnknownBatchError: The workspace has none of this id.
            WrongStateError: It has ended.
        """
        with self._lock:
            batch, now = self.get(batch_id, workspace), self.now()
            if batch.ended_at(now) is not None:
                raise WrongStateError(f"Message batch {batch_id} has ended and can no longer be canceled.")
            batch.cancel(now)
            return batch

    def delete(self, batch_id: str, workspace: str = DEFAULT_WORKSPACE) -> None:
        """Delete a batch that has ended.

        Raises:
            UnknownBatchError: The workspace has none of this id.
            WrongStateError: It has not ended.
        """
        with self._lock:
            status = self.get(batch_id, workspace).status(self.now())
            if status != "ended":
                raise WrongStateError(f"Message batch {batch_id} is {status}; it can be deleted once it has ended.")
            del self._order[workspace][self._position(batch_id, workspace)]
            del self._batches[batch_id]

    def _make(self, size: int, created: float, workspace: str) -> Batch:
        return Batch(
            id="msgbatch_01" + "".join(self._random.choices(_ID_CHARACTERS, k=22)),
            number=self._made,
            workspace=workspace,
            size=size,
            created=created,
            work_start=created,
            work_end=created + self._work(size) / self.speed,
            in_flight=max(self._random.randint(1, 3), int(size * self._random.uniform(0.005, 0.02))),
            wind_down=self._random.uniform(3 * MINUTE, 6 * MINUTE) / self.speed,
        )

    def _work(self, size: int) -> float:
        """Draw how many seconds the real service might need for a batch of this size."""
        return (10 * MINUTE + 0.3 * size) * self._random.uniform(0.8, 1.2)

    def _keep(self, batch: Batch) -> Batch:
        self._made += 1
        self._batches[batch.id] = batch
        insort(self._order.setdefault(batch.workspace, []), (batch.created, batch.number, batch))
        return batch

    def _position(self, batch_id: str, workspace: str) -> int:
        batch = self.get(batch_id, workspace)
        return bisect_left(self._order[workspace], (batch.created, batch.number, batch))


def _timestamp(at: float | None) -> str | None:
    """Write an instant as the API does: RFC 3339, in UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
