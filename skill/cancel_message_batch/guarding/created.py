"""What is known of a batch that was seen being created. Prompts pass by and are not kept."""

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cancel_message_batch.api.errors import clean
from cancel_message_batch.api.models import message_batch_id_fault

from .messages import Head

CODINGS = frozenset({b"gzip", b"identity"})  # content codings that are read here
_LONGEST_ANSWER = 2**20  # bytes that are kept of an answer about a batch, which has about 500
_LONGEST_NAME = 200  # characters of a model's name or a custom_id
_MOST_MODELS = 20

_STRING = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)'
_TOKEN = re.compile(_STRING + rb'(?:("\s*+)(:)?|\\?\Z)|[{\[}\]]', re.DOTALL)
_OPEN_STRING = re.compile(_STRING, re.DOTALL)
_REQUEST, _PARAMS = 3, 4  # how deep the members of a request, and of its params, stand

# Headers that say nothing about who asks: a cancel gets its own.
_OF_ONE_REQUEST = re.compile(
    r"(content|accept|x-stainless)(-.*)?|connection|expect|host|idempotency-key|te|transfer-encoding|user-agent"
)


@dataclass
class Created:
    """A batch that was seen being created.

    Args:
        message_batch_id: Its id.
        base_url: Where the API was reached, as in ``Connection.base_url``.
        headers: Of the last request about it that the API accepted. They hold the credential, so they are kept in
            memory only.
        requests: The number of its requests, when the answer said it.
        models: The models of its requests.
        first_custom_id: The custom_id of its first request.
        last_custom_id: The custom_id of its last request.
        workspace: Its workspace, when the answer named it.
        status: The processing status that was seen last; ended also for one that was deleted.
    """

    message_batch_id: str
    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    requests: int | None = None
    models: tuple[str, ...] = ()
    first_custom_id: str | None = None
    last_custom_id: str | None = None
    workspace: str | None = None
    status: str = "in_progress"


class RequestScanner:
    """Reads models and custom_ids out of the body of a create request while it passes by.

    It follows the brackets of the JSON, so that nothing inside a prompt is taken for a model. Its memory does not grow
    with the body.
    """

    def __init__(self) -> None:
        self.models: dict[str, None] = {}
        self.first_custom_id: str | None = None
        self.last_custom_id: str | None = None
        self.requests = 0
        self._rest = b""
        self._depth = 0
        self._keys = [b""] * (_PARAMS + 1)  # the last key at each depth

    def take(self, data: bytes) -> None:
        """Read the next piece."""
        data, self._rest = self._rest + data, b""
        for token in _TOKEN.finditer(data):
            start, end = token.span()
            if token[1] is None:
                self._depth += 1 if data[start] in b"{[" else -1
            elif end == len(data) and not token[3]:  # the next piece shows how it ends, and whether it is a key
                self._rest = data[start:]
                break
            elif 0 <= self._depth <= _PARAMS:
                self._take_string(token[1], is_key=bool(token[3]))
        if len(self._rest) > 2 * _LONGEST_NAME and (begun := _OPEN_STRING.match(self._rest)):
            self._rest = b'"' + self._rest[begun.end() :]  # what it holds is not needed, but a last backslash is

    def _take_string(self, text: bytes, *, is_key: bool) -> None:
        key, self._keys[self._depth] = self._keys[self._depth], text if is_key else b""
        if is_key or not text or self._keys[1] != b"requests":
            return
        if self._depth == _REQUEST and key == b"custom_id":
            self.last_custom_id = _name(text)
            self.first_custom_id = self.first_custom_id or self.last_custom_id
            self.requests += 1
        elif (self._depth, self._keys[_REQUEST], key) == (_PARAMS, b"params", b"model"):
            self.models = dict.fromkeys([*self.models, _name(text)][:_MOST_MODELS])


def _name(text: bytes) -> str:
    return clean(text.decode(errors="replace"), limit=_LONGEST_NAME)


@dataclass
class Watch:
    """A request that creates a batch, or is about a batch that was created, read with its answer while they pass by.

    Args:
        request: The request.
        base_url: Where the API is reached by it, as in ``Connection.base_url``.
        message_batch_id: The batch; empty for a request that creates one.
    """

    request: Head
    base_url: str
    message_batch_id: str
    scanner: RequestScanner = field(default_factory=RequestScanner)
    answer: bytearray = field(default_factory=bytearray)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    sent: bool = False  # whether the whole request has gone on
    settled: bool = False  # whether the answer says what became of the request

    def keep(self, data: bytes) -> None:
        """Keep a copy of the next piece of the answer."""
        self.answer += data[: _LONGEST_ANSWER - len(self.answer)]

    def learn(self, answer: Head, created: dict[str, Created]) -> Created | None:
        """Read the answer, which is complete, into what is known; returns a batch that is new."""
        if not 200 <= answer.status < 300:
            self.settled = answer.status < 500 or answer.status == 529  # as for our own client
            return None
        try:
            body = bytes(self.answer)
            if answer.get(b"content-encoding").lower() in {b"gzip", b"x-gzip"}:
                body = zlib.decompressobj(31).decompress(body, _LONGEST_ANSWER)
            batch = json.loads(body)
            name, counts = batch["id"], batch.get("request_counts")
            if message_batch_id_fault(name):
                return None
            deleted = batch.get("type") == "message_batch_deleted"
            status = "ended" if deleted else clean(batch["processing_status"], limit=40)
            number = sum(counts.values()) if isinstance(counts, dict) else None
        except (zlib.error, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return None
        self.settled = True
        if known := created.get(name):
            known.headers, known.status = self._headers(), status
            return None
        if self.message_batch_id:
            return None
        created[name] = Created(
            name,
            self.base_url,
            self._headers(),
            number,
            tuple(self.scanner.models),
            self.scanner.first_custom_id,
            self.scanner.last_custom_id,
            clean(answer.get(b"anthropic-workspace-id").decode("latin-1"), limit=_LONGEST_NAME) or None,
        )
        return created[name]

    def _headers(self) -> dict[str, str]:
        """Return what a cancel needs of the request's headers: the credential, the version, what a gateway asks for."""
        names = {name.lower().decode(): name.lower() for name, _ in self.request.headers}
        return {
            name: self.request.get(raw).decode("latin-1")
            for name, raw in names.items()
            if not _OF_ONE_REQUEST.fullmatch(name)
        }
