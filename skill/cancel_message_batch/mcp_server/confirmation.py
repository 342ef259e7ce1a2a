"""The question before a cancel (``--confirm``), put to the person through the client, and what counts as a yes to it.

A yes counts only for a question that this server asked. Up to protocol 2025-11-25 the server waits for the answer to
a request of its own. From 2026-07-28 on, the client calls again with the answer and with the ``requestState`` that
came with the question; a call can also bring an answer to a question that nobody asked.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mcp import types
from mcp.shared.exceptions import MCPError

from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.words import states

# Seconds for which a question is open, and how many are at a time.
QUESTION_SECONDS = 300.0
_MOST_QUESTIONS = 1000
# The question in the calls of the newer protocol, and the one field of its form.
QUESTION = "confirm"
ANSWER = "answer"


class OpenQuestions:
    """The questions that were asked and not yet answered. Each can be answered once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[str, tuple[float, str, str]] = {}  # by state: when it expires, tool, batch; the oldest first

    def ask(self, tool: str, message_batch_id: str) -> str:
        """Open a question; returns the state that its answer must bring back."""
        while self._open and (len(self._open) >= _MOST_QUESTIONS or self._clock() > next(iter(self._open.values()))[0]):
            del self._open[next(iter(self._open))]
        state = secrets.token_urlsafe(32)
        self._open[state] = (self._clock() + QUESTION_SECONDS, tool, message_batch_id)
        return state

    def close(self, state: str | None, tool: str, message_batch_id: str) -> bool:
        """Close the question that a state belongs to; returns whether it was open, for this tool and this batch."""
        expires, *about = self._open.get(state or "", (0.0,))
        if about != [tool, message_batch_id]:
            return False
        del self._open[state or ""]
        return self._clock() <= expires


@dataclass
class Confirmation:
    """Asks the person about the batch of one call, before it is canceled."""

    questions: OpenQuestions
    context: Any
    call: types.CallToolRequestParams
    deadline: asyncio.Timeout  # of the call, which is put off while the person is asked
    question: types.InputRequiredResult | None = None  # what the client must ask before it calls again

    async def approve(self, batch: MessageBatch) -> bool | None:
        """Return True for a yes, False for a no, and None without an answer."""
        capabilities = self.context.session.client_capabilities
        asks = capabilities and capabilities.elicitation
        if not asks or (asks.url and not asks.form):  # a client that names no mode means forms
            return None
        if self.context.protocol_version in types.version.MODERN_PROTOCOL_VERSIONS:
            returned = (self.call.input_responses or {}).get(QUESTION)
            asked = self.questions.close(self.call.request_state, self.call.name, batch.id)
            if returned is None or not asked:
                self.question = types.InputRequiredResult(
                    input_requests={QUESTION: types.ElicitRequest(params=_form(batch))},
                    request_state=self.questions.ask(self.call.name, batch.id),
                )
                return None
        else:
            returned = await self._ask(_form(batch))
        return _answer(returned)

    async def _ask(self, form: types.ElicitRequestFormParams) -> types.ElicitResult | None:
        """Ask in a request of ours; returns None when the client cannot, or takes too long."""
        session, now = self.context.session, asyncio.get_running_loop().time
        left = (self.deadline.when() or now()) - now()
        self.deadline.reschedule(None)
        try:
            async with asyncio.timeout(QUESTION_SECONDS):
                request = self.context.request_id
                answer: types.ElicitResult = await session.elicit_form(form.message, form.requested_schema, request)
        except (MCPError, TimeoutError):
            return None
        finally:
            self.deadline.reschedule(now() + left)
        return answer


def _form(batch: MessageBatch) -> types.ElicitRequestFormParams:
    """Ask for a yes or a no in a field, so that a no differs from a client that declines without asking anyone.

    Nothing is chosen beforehand, and the field is required: a form that is sent as it is says nothing.
    """
    choice = {"type": "string", "title": "Cancel this message batch?", "enum": ["yes", "no"]}
    return types.ElicitRequestFormParams(
        message=states.question(batch),
        requested_schema={"type": "object", "properties": {ANSWER: choice}, "required": [ANSWER]},
    )


def _answer(returned: Any) -> bool | None:
    """Read what a client returned: True for a yes, False for a no, None for anything else, such as a mere decline.

    Some clients show two buttons and no field: there, accepting is the yes. Some decline without showing anything.
    """
    if not isinstance(returned, types.ElicitResult) or returned.action != "accept":
        return None
    answer = (returned.content or {ANSWER: "yes"}).get(ANSWER)
    return {"yes": True, "no": False}.get(answer) if isinstance(answer, str) else None
