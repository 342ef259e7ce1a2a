"""The sandbox's account: its simulated message batches, and its clock.

Ages, expiry and archiving follow the clock. Only the processing is faster than the real service's, by the account's
``speed``: at 60, it takes a minute instead of an hour.
"""

import json
import math
import random
import string
import threading
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import APIError
from .inputs import LARGEST_BATCH, in_words
from .outcomes import problem_of
from .simulated_batch import (
    ARCHIVED_AFTER,
    DAY,
    DEFAULT_WORKSPACE,
    EXPIRES_AFTER,
    HOUR,
    MINUTE,
    DocumentedBatch,
    SimulatedBatch,
)

# Python's dates end with the year 9999, and a batch has dates up to a month in the future.
_LAST_DAY = datetime(9990, 1, 1, tzinfo=UTC).timestamp()
_CREATED = attrgetter("created")
_ID = "msgbatch_[A-Za-z0-9_-]+"
_ID_CHARACTERS = string.digits + string.ascii_letters

StartingStatus = Literal["in_progress", "canceling", "ended", "canceled", "expired", "archived"]
"""The state in which a simulated batch starts. Canceled, expired and archived batches have ended."""

# The minimum age of a batch in each state, in seconds.
_MIN_AGE: dict[StartingStatus, float] = {
    "in_progress": 0.0,
    "canceling": 10 * MINUTE,
    "ended": 2 * HOUR,
    "canceled": 2 * HOUR,
    "expired": EXPIRES_AFTER + HOUR,
    "archived": ARCHIVED_AFTER + DAY,
}


LONGEST = 3650 * DAY


def _time() -> float:
    return time.time()  # looked up at each call: a test may have frozen it when this module was imported, or later


class AddedBatch(BaseModel):
    """A batch to add, in JSON: what ``Account.add`` takes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    requests: int = Field(ge=1, le=LARGEST_BATCH)
    age: float = Field(0.0, ge=0, le=LONGEST, alias="age_seconds")
    status: StartingStatus = "in_progress"
    remaining: float = Field(12 * HOUR, gt=0, le=LONGEST, alias="remaining_seconds")
    error_every: int = Field(0, ge=0)
    workspace: str = Field(DEFAULT_WORKSPACE, pattern="^wrkspc_")
    batch_id: str | None = Field(None, pattern=f"^{_ID}$", alias="id")


class _AddedHere(AddedBatch):
    """The same from Python, by the names of the arguments."""

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True, validate_by_name=True, loc_by_alias=False)


class _AccountFile(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    batches: list[AddedBatch]


class Account:
    """A simulated account: the message batches of its workspaces, and its clock. Safe to use from several threads.

    Two accounts with the same seed and calls have the same ids and numbers. Without a seed their ids differ, so that a
    program can keep the ids of several runs. ``speed`` is how many times faster than the real service it processes
    requests; ``clock`` returns seconds since the epoch.
    """

    def __init__(self, *, seed: int | None = None, speed: float = 60.0, clock: Callable[[], float] = _time) -> None:
        self.speed = speed
        self._random, self._random_ids = random.Random(seed or 0), random.Random(seed)
        # Of its own generator: the ids of the batches would depend on it.
        self.request_ids = "req_01sandbox" + "".join(random.Random(seed).choices(_ID_CHARACTERS, k=7))
        self._clock = clock
        self._offset = 0.0
        self._batches: dict[str, SimulatedBatch] = {}
        self._deleted: dict[str, SimulatedBatch] = {}
        self._order: dict[str, list[SimulatedBatch]] = {}  # by workspace, oldest first, deleted ones too
        self._lock = threading.RLock()

    @property
    def speed(self) -> float:
        """How many times faster than the real service the account processes what is created from now on."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if not isinstance(speed, int | float) or not 0 < speed < math.inf:
            raise ValueError("speed must be a number above 0")
        self._speed = speed

    @classmethod
    def example(cls, *, seed: int | None = None, speed: float = 60.0, clock: Callable[[], float] = _time) -> Self:
        """Make an example account with running, canceling and ended batches, and the documented one."""
        account = cls(seed=seed, speed=speed, clock=clock)
        account._keep(DocumentedBatch())
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

    @classmethod
    def from_json(
        cls,
        text: str | bytes,
        *,
        seed: int | None = None,
        speed: float = 60.0,
        clock: Callable[[], float] = _time,
    ) -> Self:
        """Make an account with the batches of a JSON text. Raises a ValueError that says what is wrong with it.

        The text is ``{"batches": [{"requests": 500, "age_seconds": 60, "status": "in_progress"}, …]}``, where each
        batch may also have ``remaining_seconds``, ``error_every``, ``workspace`` and ``id``, as in ``add``.
        """
        account = cls(seed=seed, speed=speed, clock=clock)
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text))  # some editors begin a file with a mark, or write UTF-16
        try:
            listed = _AccountFile.model_validate_json(text)
        except ValidationError as error:
            raise ValueError(in_words(error)) from error
        for index, batch in enumerate(listed.batches):
            try:
                account.add(**vars(batch))
            except ValueError as error:
                raise ValueError(f"batches.{index}: {error}") from error
        return account

    def now(self) -> float:
        """Return the account's time, in seconds since the epoch."""
        return self._clock() + self._offset

    def advance(self, seconds: float) -> None:
        """Advance the clock. One hour adds an hour to each age, and ``speed`` hours of processing."""
        if not 0 <= seconds < math.inf:
            raise ValueError("the clock can only be advanced forwards")
        with self._lock:
            if self.now() + seconds > _LAST_DAY:
                raise ValueError("that is beyond the year 9989")
            self._offset += seconds

    def add(
        self,
        requests: int,
        age: float = 0.0,
        status: StartingStatus = "in_progress",
        *,
        remaining: float = 12 * HOUR,
        error_every: int = 0,
        workspace: str = DEFAULT_WORKSPACE,
        batch_id: str | None = None,
    ) -> str:
        """Add a simulated batch with generated requests; return its id, which is a random one if none is given.

        Ages and times are in seconds. ``age`` is raised to the minimum for the status. ``remaining`` is the time that
        the real service would still need, if the batch has not ended. Every ``error_every``-th request fails; 0 for
        none.
        """
        given: dict[str, Any] = {"requests": requests, "age": age, "status": status, "remaining": remaining}
        given |= {"error_every": error_every, "workspace": workspace, "batch_id": batch_id}
        try:
            _AddedHere.model_validate(given)
        except ValidationError as error:
            raise ValueError(in_words(error)) from error
        age = max(age, _MIN_AGE[status])
        if age >= EXPIRES_AFTER and status in {"in_progress", "canceling"}:
            raise ValueError(f"a batch that is {status} is younger than a day, since it expires then")
        with self._lock:
            if batch_id in self._batches:
                raise ValueError(f"there already is a batch {batch_id}")
            now = self.now()
            batch = self._make(requests, now - age, workspace)
            batch.id = batch_id or batch.id
            batch.failing = range(error_every - 1, requests, error_every) if error_every else ()
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

    def create(self, requests: list[dict[str, Any]], workspace: str = DEFAULT_WORKSPACE) -> SimulatedBatch:
        """Create a batch of requests, each with a ``custom_id`` and ``params``, and start to process it."""
        with self._lock:
            batch = self._make(len(requests), self.now(), workspace)
            batch.requests = requests
            params = (request["params"] for request in requests)
            batch.failing = [index for index, given in enumerate(params) if problem_of(given, batch.created)]
            return self._keep(batch)

    def get(self, batch_id: str, workspace: str = DEFAULT_WORKSPACE) -> SimulatedBatch:
        """Find a batch. This and the methods below raise the API's errors."""
        batch = self._batches.get(batch_id)
        if batch is None or batch.workspace != workspace:
            raise APIError(404, f"There is no message batch {batch_id} in this workspace.")
        return batch

    def page(
        self,
        workspace: str = DEFAULT_WORKSPACE,
        *,
        limit: int = 20,
        after: str | None = None,
        before: str | None = None,
    ) -> tuple[list[SimulatedBatch], bool]:
        """Return up to ``limit`` batches, newest first, and whether there are more in that direction.

        Those after a batch are older, the next page; those before it are newer, and the nearest ones come. The batch
        may have been deleted since it was listed.
        """
        with self._lock:
            order = self._order.get(workspace, [])
            if before is not None:
                batches = self._existing(order[self._position(before, workspace) + 1 :])
                return [*islice(batches, limit)][::-1], any(batches)
            end = len(order) if after is None else self._position(after, workspace)
            batches = self._existing(order[:end][::-1])
            return [*islice(batches, limit)], any(batches)

    def batches(self) -> list[SimulatedBatch]:
        """Return the batches of all workspaces, in the order in which they were added."""
        with self._lock:
            return list(self._batches.values())

    def cancel(self, batch_id: str, workspace: str = DEFAULT_WORKSPACE) -> None:
        """Cancel a batch. A batch that is already canceling stays as it is."""
        with self._lock:
            batch, now = self.get(batch_id, workspace), self.now()
            if batch.ended_at(now) is not None:
                raise APIError(400, f"Message batch {batch_id} has ended and can no longer be canceled.")
            batch.cancel(now)

    def finish(self, batch_id: str) -> None:
        """End a batch of any workspace now, as if its processing were done. Raises a ValueError if there is none."""
        with self._lock:
            if batch_id not in self._batches:
                raise ValueError(f"there is no message batch {batch_id}")
            self._batches[batch_id].finish(self.now())

    def delete(self, batch_id: str, workspace: str = DEFAULT_WORKSPACE) -> None:
        """Delete a batch that has ended."""
        with self._lock:
            status = self.get(batch_id, workspace).status(self.now())
            if status != "ended":
                raise APIError(400, f"Message batch {batch_id} is {status}; it can be deleted once it has ended.")
            # Its place stays, since a client may be paging from it.
            place = self._position(batch_id, workspace)
            deleted = replace(self._batches.pop(batch_id), requests=None)
            self._order[workspace][place] = self._deleted[batch_id] = deleted

    def _make(self, size: int, created: float, workspace: str) -> SimulatedBatch:
        return SimulatedBatch(
            id="msgbatch_01" + "".join(self._random_ids.choices(_ID_CHARACTERS, k=22)),
            workspace=workspace,
            size=size,
            created=created,
            work_start=created,
            work_end=created + self._work(size) / self.speed,
            # Of one or two requests, each is in flight for the second half of its time.
            in_flight=max(
                min(self._random.randint(1, 3), size // 3 or 0.5), int(size * self._random.uniform(0.005, 0.02))
            ),
            wind_down=self._random.uniform(3 * MINUTE, 6 * MINUTE) / self.speed,
        )

    def _work(self, size: int) -> float:
        """Estimate the seconds that the real service needs for a batch of this size: ten minutes or more."""
        return (10 * MINUTE + 0.3 * size) * self._random.uniform(1.0, 1.4)

    def _keep(self, batch: SimulatedBatch) -> SimulatedBatch:
        self._deleted.pop(batch.id, None)
        self._batches[batch.id] = batch
        insort(self._order.setdefault(batch.workspace, []), batch, key=_CREATED)
        return batch

    def _existing(self, batches: list[SimulatedBatch]) -> Iterator[SimulatedBatch]:
        return (batch for batch in batches if self._batches.get(batch.id) is batch)

    def _position(self, batch_id: str, workspace: str) -> int:
        """Return the place of a batch in the order, even of one that has been deleted."""
        batch = self._deleted.get(batch_id)
        if batch is None or batch.workspace != workspace:
            batch = self.get(batch_id, workspace)
        order = self._order[workspace]
        return order.index(batch, bisect_left(order, batch.created, key=_CREATED))
