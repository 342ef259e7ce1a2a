"""The batches that a command created, as its requests and the API's responses show them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from httpx2 import DecodingError, Response

from cancel_message_batch.api.errors import clean
from cancel_message_batch.api.models import message_batch_id_fault

# Headers that say nothing about who sends a request: a cancel gets its own.
_OF_ONE_REQUEST = re.compile(
    r"(content|accept|x-stainless)(-.*)?|connection|expect|host|idempotency-key|te|transfer-encoding|user-agent"
)
_CUSTOM_ID = b'"custom_id"'  # not inside a prompt, where quotes are escaped


@dataclass(eq=False)
class Created:
    """A batch that the command creates.

    Args:
        base_url: Where the command reaches the API, as in ``Connection.base_url``.
        began: When its create request came.
        message_batch_id: Its id; empty before the API's response.
        requests: The number of its requests; 0 if it is not known.
        headers: Those of the last request about it that the API accepted, without what only that request needed. They
            hold the credential, so they are kept in memory only.
        workspace: Its workspace, if the response named it.
        status: The last processing status seen; "ended" also for a batch that was deleted.
        lost: Whether the create was sent, and no response has said what came of it.
    """

    base_url: str
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    message_batch_id: str = ""
    requests: int = 0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    workspace: str | None = None
    status: str = "in_progress"
    lost: bool = False
    _end: bytes = field(default=b"", repr=False)

    def count(self, piece: bytes) -> None:
        """Count the requests in the next piece of the create request's body."""
        self.requests += (self._end + piece).count(_CUSTOM_ID)
        self._end = (self._end + piece)[1 - len(_CUSTOM_ID) :]

    def learn(self, response: Response, body: bytes) -> None:
        """Learn from a response to a request that creates the batch, or is about it; ``body`` is still encoded."""
        if not response.is_success:
            self.lost = self.lost and response.status_code >= 500 and response.status_code != 529  # as in our client
            return
        try:
            batch = Response(200, headers=response.headers, content=body).json()
            name, counts = batch["id"], batch.get("request_counts")
            deleted = batch.get("type") == "message_batch_deleted"
            status = "ended" if deleted else clean(batch["processing_status"], limit=40)
            requests = sum(counts.values()) if isinstance(counts, dict) else 0
        except (DecodingError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return
        if message_batch_id_fault(name) or self.message_batch_id not in {"", name}:
            return
        self.lost, self.message_batch_id, self.status = False, name, status
        self.requests = requests or self.requests
        self.workspace = clean(response.headers.get("anthropic-workspace-id", ""), limit=200) or self.workspace
        sent = response.request.headers.items()
        self.headers = {header: value for header, value in sent if not _OF_ONE_REQUEST.fullmatch(header)}
