"""What the requests of a command, and the API's responses, say about the batches that it creates."""

import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from httpx2 import DecodingError, Response

from cancel_message_batch.api.errors import word
from cancel_message_batch.api.models import message_batch_id_fault

from .keeping import keep_url

# Headers that say nothing about who sends a request: a cancel gets its own.
_OF_ONE_REQUEST = re.compile(
    r"(content|accept|x-stainless)(-.*)?|connection|expect|host|idempotency-key|te|transfer-encoding|user-agent"
)
# Not inside a prompt, where quotes are escaped, nor a property of a schema, whose value is an object.
_CUSTOM_ID = re.compile(rb'"custom_id"\s*:\s*"')
_LONGEST = 64  # bytes of one, however it is spaced


@dataclass(eq=False)
class Created:
    """A batch that the command creates. ``message_batch_id`` is empty until the API responds.

    ``headers`` are what a cancel needs of its create request. They hold the credential, so they are kept in memory
    only. ``status`` is the last one seen; "ended" also for a batch that was deleted. ``kept`` says that the batch is
    left running on purpose, ``not_canceled`` that no cancel of it was confirmed. ``keep_url`` is where another ``run``
    around this one is told that the batch is kept; empty if there is none. ``sent`` says that the last request about
    the batch was sent whole, ``answered`` that the response says what came of the create, ``over`` that nothing more
    will be learned of the create. ``moment`` is when the create began, of ``time.monotonic()``.
    """

    base_url: str
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    moment: float = field(default_factory=time.monotonic)
    message_batch_id: str = ""
    requests: int = 0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    workspace: str | None = None
    status: str = "in_progress"
    kept: bool = False
    not_canceled: bool = False
    keep_url: str = ""
    sent: bool = False
    answered: bool = False
    over: bool = False
    _end: bytes = field(default=b"", repr=False)
    _hash: Any = field(default_factory=hashlib.sha256, repr=False)

    @property
    def sha256(self) -> str:
        """The hash of its create request's body, as far as it was counted."""
        return str(self._hash.hexdigest())

    def count(self, piece: bytes) -> None:
        """Count the requests in the next piece of a create request, at least as many as there are, and hash it."""
        self._hash.update(piece)
        text, counted = self._end + piece, 0
        for found in _CUSTOM_ID.finditer(text):
            self.requests, counted = self.requests + 1, found.end()
        self._end = text[max(counted, len(text) - _LONGEST) :]

    def learn(self, response: Response, body: bytes) -> bool:
        """Learn from a response about the batch; ``body`` is still encoded. Returns whether its id is new."""
        if not response.is_success:
            self.answered |= response.status_code < 500 or response.status_code == 529  # as in our own client
            return False
        try:
            batch = Response(200, headers=response.headers, content=body).json()
            name, counts = batch["id"], batch.get("request_counts")
            deleted = batch.get("type") == "message_batch_deleted"
            status = "ended" if deleted else str(batch["processing_status"])  # never shown
            requests = sum(counts.values()) if isinstance(counts, dict) else 0
        except (DecodingError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return False
        new = not self.message_batch_id
        if message_batch_id_fault(name) or not (new or name == self.message_batch_id):
            return False
        self.answered, self.message_batch_id, self.status = True, name, status
        self.requests = requests or self.requests
        self.workspace = word(response.headers.get("anthropic-workspace-id")) or self.workspace
        if new:  # anybody's key that the API accepts may look at a batch later
            self.headers = of_the_sender(response.request.headers)
            self.keep_url = keep_url(str(response.url), response.headers)
        return new


def of_the_sender(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a request that may say who sends it, such as its credential."""
    return {name: value for name, value in headers.items() if not _OF_ONE_REQUEST.fullmatch(name.lower())}
