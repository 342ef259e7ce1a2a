"""When a request is sent again, and after which pause. Nothing here touches the network."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import APIConnectionError, APIStatusError, InvalidInputError, MessageBatchError

# The official SDK's numbers, so that both behave alike on a bad day.
MAX_RETRIES = 2
FIRST_RETRY_PAUSE = 0.5  # seconds
LONGEST_RETRY_PAUSE = 8.0

CALL_TIMEOUT = 120.0  # seconds for one call with its retries


def may_pass(error: MessageBatchError) -> bool:
    """Return whether the same request may succeed a little later.

    As the official SDK decides it: the API's own advice first, then timeouts, conflicts, limits and server errors. Only
    a spend limit is not waited for: it lasts until the month ends.
    """
    if isinstance(error, APIStatusError):
        if error.spend_limit_reached:
            return False
        if error.should_retry is not None:
            return error.should_retry
        return error.status_code in {408, 409, 429} or error.status_code >= 500
    return isinstance(error, APIConnectionError)


def refused_by_limit(error: MessageBatchError) -> bool:
    """Return whether a rate limit refused a request, and no earlier attempt may have arrived."""
    limited = isinstance(error, APIStatusError) and error.status_code == 429 and not error.spend_limit_reached
    return limited and not error.may_have_arrived


def check_seconds(name: str, value: object) -> None:
    """Refuse a time limit that is not a number of seconds above 0."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise InvalidInputError(f"{name} is {value!r}; it must be a number of seconds above 0")


@dataclass(frozen=True)
class RetryPolicy:
    """How long one call may take, in seconds with its retries, and when its request is sent again.

    With ``wait_out_limits``, a 429 that says how long to wait is obeyed and does not count as a retry.
    """

    timeout: float = CALL_TIMEOUT
    max_retries: int = MAX_RETRIES
    wait_out_limits: bool = False
    on_pause: Callable[[MessageBatchError, float], None] = lambda _error, _seconds: None

    def __post_init__(self) -> None:
        check_seconds("timeout", self.timeout)
        if not isinstance(self.max_retries, int) or isinstance(self.max_retries, bool) or self.max_retries < 0:
            raise InvalidInputError(f"max_retries is {self.max_retries!r}; it must be a whole number from 0")


@dataclass
class Attempts:
    """The attempts of one call: how many there were, and whether there is another."""

    policy: RetryPolicy
    deadline: float  # of time.monotonic()
    passes: Callable[[MessageBatchError], bool] = may_pass
    number: int = field(default=0, init=False)
    retries: int = field(default=0, init=False)
    may_have_arrived: bool = field(default=False, init=False)

    def pause_after(self, error: MessageBatchError) -> float:
        """Return the seconds to wait before the next attempt, or raise the error if there is none."""
        self.number += 1
        self.may_have_arrived = error.may_have_arrived = error.may_have_arrived or self.may_have_arrived
        policy = self.policy
        status, asked = (error.status_code, error.retry_after) if isinstance(error, APIStatusError) else (0, None)
        limited = policy.wait_out_limits and policy.max_retries > 0 and status == 429 and asked is not None
        longest = min(FIRST_RETRY_PAUSE * 2.0 ** min(self.number - 1, 10), LONGEST_RETRY_PAUSE)
        pause = longest * (1 - 0.25 * random.random()) if asked is None else asked  # noqa: S311 - jitter is no secret
        if limited and pause < 1:  # many requests that each wait less than a second, again and again, would be a flood
            pause = max(pause, longest)
        exhausted = self.retries >= policy.max_retries and not limited
        if exhausted or not self.passes(error) or time.monotonic() + pause >= self.deadline:
            raise error
        self.retries += not limited
        policy.on_pause(error, pause)
        return pause
