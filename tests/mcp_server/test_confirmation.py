"""With --confirm: a yes counts once, for the batch that the person was asked about, and only if they were asked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client

from cancel_message_batch.mcp_server import confirmation
from cancel_message_batch.mcp_server.confirmation import ANSWER, QUESTION, OpenQuestions
from cancel_message_batch.mcp_server.server import build_server
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.tools import CANCEL, GET
from tests.conftest import cancels

from .clients import ERAS, LEGACY, MODERN, call, in_memory, text

YES = types.ElicitResult(action="accept", content={ANSWER: "yes"})
NO = types.ElicitResult(action="accept", content={ANSWER: "no"})
UNANSWERED = "The client did not return a yes; the person may not have been shown the question."


def answering(answer: types.ElicitResult | types.ErrorData, asked: list[Any] | None = None) -> Any:
    async def person(_: Any, question: Any) -> types.ElicitResult | types.ErrorData:
        if asked is not None:
            asked.append(question)
        return answer

    return person


def confirmed(running: str, era: str, answer: types.ElicitResult | types.ErrorData, **options: Any) -> str:
    """Cancel with --confirm, and return what the model is told."""
    result = call(
        CANCEL.name,
        {"message_batch_id": running},
        era,
        confirm=True,
        elicitation_callback=answering(answer),
        **options,
    )
    assert result.structured_content is None or result.structured_content["summary"] == text(result)
    return text(result)


@pytest.mark.parametrize("era", ERAS)
def test_the_question_shows_what_a_person_needs_to_decide(sandbox: Sandbox, running: str, era: str) -> None:
    asked: list[Any] = []
    call(CANCEL.name, {"message_batch_id": running}, era, confirm=True, elicitation_callback=answering(YES, asked))
    (question,) = asked
    for part in (running, "5,000", "10 min ago", "in_progress"):
        assert part in question.message
    assert question.requested_schema["properties"][ANSWER]["enum"] == ["yes", "no"]
    assert question.requested_schema["required"] == [ANSWER]
    assert "default" not in question.requested_schema["properties"][ANSWER]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("content", [{ANSWER: "yes"}, {}, None], ids=["in the form", "by a button", "without content"])
def test_a_yes_cancels(sandbox: Sandbox, running: str, era: str, content: Any) -> None:
    told = confirmed(running, era, types.ElicitResult(action="accept", content=content))
    assert "accepted but not immediate" in told
    assert cancels(sandbox) == [running]


@pytest.mark.parametrize("era", ERAS)
def test_a_no_in_the_form_is_the_persons_no(sandbox: Sandbox, running: str, era: str) -> None:
    assert "the person said no" in confirmed(running, era, NO)
    assert cancels(sandbox) == []


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "answer",
    [
        types.ElicitResult(action="decline"),
        types.ElicitResult(action="cancel"),
        types.ElicitResult(action="decline", content={ANSWER: "yes"}),
        types.ElicitResult(action="accept", content={ANSWER: "perhaps"}),
        types.ElicitResult(action="accept", content={ANSWER: True}),
        types.ElicitResult(action="accept", content={ANSWER: ["yes"]}),
        types.ElicitResult(action="accept", content={ANSWER: None}),
        types.ElicitResult(action="accept", content={"another": "yes"}),
    ],
    ids=lambda answer: f"{answer.action} {answer.content}",
)
def test_any_other_answer_is_neither_a_yes_nor_a_no(
    sandbox: Sandbox, running: str, era: str, answer: types.ElicitResult
) -> None:
    told = confirmed(running, era, answer)
    assert UNANSWERED in told
    assert f"`cancel-message-batch {running}`" in told
    assert "said no" not in told
    assert cancels(sandbox) == []


def test_a_client_that_fails_to_ask_returns_no_answer(sandbox: Sandbox, running: str) -> None:
    assert UNANSWERED in confirmed(running, LEGACY, types.ErrorData(code=-32603, message="no window to ask in"))
    assert cancels(sandbox) == []


@pytest.mark.parametrize("era", ERAS)
def test_a_client_that_cannot_ask_cancels_nothing(sandbox: Sandbox, running: str, era: str) -> None:
    result = call(CANCEL.name, {"message_batch_id": running}, era, confirm=True)
    assert "The client did not return a yes" in text(result)
    assert cancels(sandbox) == []


@pytest.mark.parametrize("era", ERAS)
def test_only_a_cancel_is_asked_about(sandbox: Sandbox, running: str, era: str) -> None:
    asked: list[Any] = []
    result = call(
        GET.name, {"message_batch_id": running}, era, confirm=True, elicitation_callback=answering(YES, asked)
    )
    assert not result.is_error
    assert asked == []


def test_a_person_who_takes_too_long_has_not_answered(
    sandbox: Sandbox, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmation, "QUESTION_SECONDS", 0.2)

    async def person(_: Any, __: Any) -> types.ElicitResult:
        await anyio.sleep(5)
        return YES

    result = call(CANCEL.name, {"message_batch_id": running}, confirm=True, elicitation_callback=person)
    assert UNANSWERED in text(result)
    assert cancels(sandbox) == []


def test_the_time_a_person_takes_is_not_the_calls(sandbox: Sandbox, running: str) -> None:
    async def person(_: Any, __: Any) -> types.ElicitResult:
        await anyio.sleep(1.5)
        return YES

    call(CANCEL.name, {"message_batch_id": running}, confirm=True, timeout=1, elicitation_callback=person)
    assert cancels(sandbox) == [running]


@pytest.mark.parametrize("era", ERAS)
def test_a_call_that_ends_before_the_question_was_answered_canceled_nothing(
    sandbox: Sandbox, running: str, era: str
) -> None:
    sandbox.fail(Fault("GET", times=0, hang=True))
    assert "did not answer within" in confirmed(running, era, YES, timeout=0.5)
    assert cancels(sandbox) == []


@pytest.mark.parametrize("era", ERAS)
def test_a_cancel_after_a_yes_ends_at_the_deadline_of_the_call(sandbox: Sandbox, running: str, era: str) -> None:
    sandbox.fail(Fault("/cancel", times=0, hang=True))
    told = confirmed(running, era, YES, timeout=1)
    assert "did not answer within" in told
    assert f"It is not known whether the cancellation of {running} was accepted" in told
    assert cancels(sandbox) == [running]


class Caller:
    """A client of protocol 2026-07-28 that brings whatever it likes to a call."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def cancel(
        self, message_batch_id: str, answer: types.ElicitResult | None = None, state: str | None = None
    ) -> types.CallToolResult | types.InputRequiredResult:
        responses: types.InputResponses | None = {QUESTION: answer} if answer else None
        return await self.client.session.call_tool(
            CANCEL.name,
            {"message_batch_id": message_batch_id},
            input_responses=responses,
            request_state=state,
            allow_input_required=True,
        )

    async def asked(self, message_batch_id: str) -> str:
        """Call without an answer; returns the state that comes with the question."""
        return state_of(await self.cancel(message_batch_id))


def state_of(result: types.CallToolResult | types.InputRequiredResult) -> str:
    assert isinstance(result, types.InputRequiredResult)
    assert result.input_requests
    assert list(result.input_requests) == [QUESTION]
    assert result.request_state
    return result.request_state


def calling(story: Callable[[Caller], Awaitable[None]]) -> None:
    async def conversation() -> None:
        async with in_memory(MODERN, confirm=True, elicitation_callback=answering(NO)) as client:
            await story(Caller(client))

    asyncio.run(conversation())


@pytest.fixture
def other(sandbox: Sandbox) -> str:
    return sandbox.account.add(requests=7, age=60, status="in_progress")


def test_a_first_call_that_brings_its_own_yes_is_asked(sandbox: Sandbox, running: str) -> None:
    async def story(caller: Caller) -> None:
        state_of(await caller.cancel(running, YES))
        state_of(await caller.cancel(running, YES, "made up"))
        state_of(await caller.cancel(running, YES, "made.up"))
        state_of(await caller.cancel(running, YES, "né.né"))
        state_of(await caller.cancel(running, YES, "." * 100_000))

    calling(story)
    assert cancels(sandbox) == []


def test_a_yes_counts_once(sandbox: Sandbox, running: str) -> None:
    async def story(caller: Caller) -> None:
        state = await caller.asked(running)
        sandbox.fail(Fault("/cancel", status=400, body={}))
        assert isinstance(await caller.cancel(running, YES, state), types.CallToolResult)
        state_of(await caller.cancel(running, YES, state))

    calling(story)
    assert cancels(sandbox) == [running]


def test_two_calls_at_once_share_no_yes(sandbox: Sandbox, running: str) -> None:
    async def story(caller: Caller) -> None:
        state = await caller.asked(running)
        sandbox.fail(Fault("/cancel", times=0, status=400, body={}))
        results = await asyncio.gather(*(caller.cancel(running, YES, state) for _ in range(3)))
        assert sum(isinstance(result, types.CallToolResult) for result in results) == 1

    calling(story)
    assert cancels(sandbox) == [running]


def test_a_no_closes_the_question_too(sandbox: Sandbox, running: str) -> None:
    async def story(caller: Caller) -> None:
        state = await caller.asked(running)
        assert isinstance(await caller.cancel(running, NO, state), types.CallToolResult)
        state_of(await caller.cancel(running, YES, state))

    calling(story)
    assert cancels(sandbox) == []


def test_a_yes_for_one_batch_is_asked_again_for_another(sandbox: Sandbox, running: str, other: str) -> None:
    async def story(caller: Caller) -> None:
        state = await caller.asked(running)
        state_of(await caller.cancel(other, YES, state))
        assert cancels(sandbox) == []
        await caller.cancel(running, YES, state)  # the question about this one is still open

    calling(story)
    assert cancels(sandbox) == [running]


def test_a_tampered_state_is_asked_again(sandbox: Sandbox, running: str) -> None:
    async def story(caller: Caller) -> None:
        state = await caller.asked(running)
        flipped = state[:-1] + ("0" if state[-1] != "0" else "1")
        for tampered in (flipped, state[:-1], f"{state}0", state.lower(), f" {state}", ""):
            state_of(await caller.cancel(running, YES, tampered))

    calling(story)
    assert cancels(sandbox) == []


def test_an_expired_state_is_asked_again(sandbox: Sandbox, running: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmation, "QUESTION_SECONDS", 0.2)

    async def story(caller: Caller) -> None:
        state = await caller.asked(running)
        await anyio.sleep(0.4)
        state_of(await caller.cancel(running, YES, state))

    calling(story)
    assert cancels(sandbox) == []


def test_a_state_of_another_process_is_asked_again(sandbox: Sandbox, running: str) -> None:
    async def conversation() -> None:
        async with (
            Client(build_server(confirm=True), mode=MODERN, elicitation_callback=answering(NO)) as one,
            Client(build_server(confirm=True), mode=MODERN, elicitation_callback=answering(NO)) as another,
        ):
            state = await Caller(one).asked(running)
            state_of(await Caller(another).cancel(running, YES, state))

    asyncio.run(conversation())
    assert cancels(sandbox) == []


def test_a_question_expires_after_five_minutes() -> None:
    now = 1000.0
    questions = OpenQuestions(clock=lambda: now)
    in_time, too_late = (questions.ask(CANCEL.name, "msgbatch_1") for _ in range(2))
    now += 299
    assert questions.close(in_time, CANCEL.name, "msgbatch_1")
    now += 2
    assert not questions.close(too_late, CANCEL.name, "msgbatch_1")


def test_a_question_is_about_one_tool() -> None:
    questions = OpenQuestions()
    state = questions.ask(CANCEL.name, "msgbatch_1")
    assert not questions.close(state, GET.name, "msgbatch_1")
    assert questions.close(state, CANCEL.name, "msgbatch_1")


def test_open_questions_take_bounded_memory() -> None:
    questions = OpenQuestions()
    states = [questions.ask(CANCEL.name, "msgbatch_1") for _ in range(3000)]
    assert sum(questions.close(state, CANCEL.name, "msgbatch_1") for state in states) == 1000
    assert not questions.close(states[0], CANCEL.name, "msgbatch_1")
