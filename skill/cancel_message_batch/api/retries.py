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
    return _rate_limited(error) and not error.may_have_arrived


def _rate_limited(error: MessageBatchError) -> bool:
    return isinstance(error, APIStatusError) and error.status_code == 429 and not error.spend_limit_reached


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
        if not isinstance(self.timeout, int | float) or not self.timeout > 0:
            raise InvalidInputError(f"timeout is {self.timeout!r}; it must be a number of seconds above 0")
        if not isinstance(self.max_retries, int) or self.max_retries < 0:
            raise InvalidInputError(f"max_retries is {self.max_retries!r}; it must be a whole number from 0")

    def obeys_limit(self, error: MessageBatchError) -> bool:
        """Return whether this error is a rate limit that is waited out."""
        return (
            self.wait_out_limits
            and self.max_retries > 0
            and isinstance(error, APIStatusError)
            and _rate_limited(error)
            and error.retry_after is not None
            and error.should_retry is not False
        )

    def pause(self, error: MessageBatchError, attempts: int) -> float:
        """Return how many seconds to wait before the request is sent again, after so many attempts."""
        asked = error.retry_after if isinstance(error, APIStatusError) else None
        longest = min(FIRST_RETRY_PAUSE * 2.0 ** min(attempts - 1, 10), LONGEST_RETRY_PAUSE)
        if asked is None:
            return longest * (1 - 0.25 * random.random())  # noqa: S311 - jitter is no secret
        # Many requests that each wait less than a second, again and again, would be a flood.
        return max(asked, longest) if self.obeys_limit(error) and asked < 1 else asked


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
        limited, pause = self.policy.obeys_limit(error), self.policy.pause(error, self.number)
        exhausted = self.retries >= self.policy.max_retries and not limited
        if exhausted or not self.passes(error) or time.monotonic() + pause >= self.deadline:
            raise error
        self.retries += not limited
        self.policy.on_pause(error, pause)
        return pause
