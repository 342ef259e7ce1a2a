"""Faults on the way to the model: told in a sentence, with no secret in it, and the conversation can go on."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import pytest

from cancel_message_batch import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    ConfigurationError,
    MessageBatchError,
    MessageBatches,
)
from cancel_message_batch.agent.conversation import NO_ANSWER, NOT_RUN, Conversation
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.words.failures import failed
from tests.conftest import KEY, PROGRAM, Run, cancels
from tests.scripted import Block, Model, Raw, answer, serving, sse

SECRET = "tok-SECRETSECRETSECRET"  # no credential of anybody's


@pytest.fixture
def model() -> Iterator[Model]:
    with serving() as scripted:
        yield scripted


Talk = Callable[..., Conversation]


@pytest.fixture
def talk(model: Model, batches: MessageBatches) -> Iterator[Talk]:
    """Begin a conversation with the scripted model."""
    with ExitStack() as clients:

        def begin(**options: Any) -> Conversation:
            client = anthropic.Anthropic(api_key=KEY, base_url=model.url, max_retries=0, **options)
            clients.enter_context(client)
            return Conversation(client, batches)

        yield begin


@pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
def test_a_credential_that_ends_with_a_newline_works(model: Model, run: Run, variable: str) -> None:
    model.replies = ["Done."]
    done = run("ask", "hi", ANTHROPIC_BASE_URL=model.url, **{variable: f"{SECRET}\n"})
    assert (done.returncode, done.stdout) == (0, "Done.\n")
    assert model.headers[0]["authorization"] == f"Bearer {SECRET}"


def test_a_credential_in_custom_headers_is_the_only_one_that_is_sent(model: Model, run: Run) -> None:
    model.replies = ["Done."]
    custom = {"ANTHROPIC_CUSTOM_HEADERS": f"X-Api-Key: {SECRET}", "ANTHROPIC_API_KEY": "sk-another\n"}
    assert run("ask", "hi", ANTHROPIC_BASE_URL=model.url, **custom).returncode == 0
    assert model.headers[0]["x-api-key"] == SECRET
    assert "authorization" not in model.headers[0]


def test_a_credential_that_an_error_repeats_is_not_shown(model: Model, run: Run) -> None:
    message = f"no such token: {SECRET}"
    model.replies = [Raw(json.dumps({"error": {"type": "authentication_error", "message": message}}).encode(), 401)]
    done = run("ask", "hi", ANTHROPIC_BASE_URL=model.url, ANTHROPIC_AUTH_TOKEN=SECRET)
    assert done.returncode == 1
    assert "no such token: …CRET" in done.stderr
    assert SECRET not in done.stderr


def test_a_client_with_an_impossible_credential_does_not_show_it(batches: MessageBatches, sandbox: Sandbox) -> None:
    with anthropic.Anthropic(auth_token=f"{SECRET}\nX", base_url=sandbox.url, max_retries=0) as client:
        conversation = Conversation(client, batches)
        with pytest.raises(ConfigurationError, match="a character that headers cannot have") as caught:
            conversation.say("hi")
    assert "SECRET" not in str(caught.value)


CALL: list[Block] = [("cancel_message_batch", {"message_batch_id": EXAMPLE_ID})]
CUT = Raw(sse(answer("I will")[:3]), cut=True)
HTML = Raw(b"<html>Welcome</html>", headers={"content-type": "text/html"})
HALF_A_CHARACTER = Raw(sse(answer("\ud83d")))
BAD_JSON = Raw(sse(answer([("cancel_message_batch", '{"message_batch_id": nope}')])))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (CUT, (APIConnectionError, r"the connection to the model at 127.0.0.1:\d+ broke")),
        (HTML, (APIResponseError, r"the response of the model at 127.0.0.1:\d+ is not from the Messages API")),
        (Raw(), (APIResponseError, "is not from the Messages API")),
        (Raw(b"event: message_start\ndata: {nope\n\n"), (APIResponseError, "garbled")),
        (HALF_A_CHARACTER, (APIResponseError, "garbled")),
        (BAD_JSON, (APIResponseError, "garbled")),
    ],
)
def test_a_broken_or_foreign_answer_is_reported_and_what_was_done_before_is_kept(
    sandbox: Sandbox, talk: Talk, model: Model, fault: Raw, error: tuple[type[MessageBatchError], str]
) -> None:
    kind, told = error
    model.replies = [CALL, fault, "Yes."]
    conversation = talk()
    with pytest.raises(kind, match=told):
        conversation.say(f"cancel {EXAMPLE_ID}")
    assert cancels(sandbox) == [EXAMPLE_ID]
    assert conversation.say("is it stopped?") == "Yes."
    said, call, result, asked = model.requests[-1]["messages"]
    assert (said["role"], asked["content"]) == ("user", "is it stopped?")
    assert call["content"][0]["id"] == result["content"][0]["tool_use_id"]
    assert "canceling" in result["content"][0]["content"]


def test_a_model_that_falls_silent_in_its_answer_is_given_up_after_the_timeout(talk: Talk, model: Model) -> None:
    model.replies = [Raw(sse(answer("I will")[:3]), cut=True, hang=True)]
    with pytest.raises(APITimeoutError, match="in time"):
        talk(timeout=0.5).say("hi")


def test_a_fault_ends_ask_with_a_sentence_and_chat_continues(sandbox: Sandbox, model: Model, run: Run) -> None:
    model.replies = [CUT, CUT, "Here."]
    asked = run("ask", "hi", ANTHROPIC_BASE_URL=model.url)
    assert asked.returncode == 1
    assert asked.stdout == "I will\n"
    assert asked.stderr.startswith("The connection to the API broke")
    assert asked.stderr.count("\n") == 1
    chatted = run("chat", stdin="hi\nare you there?\n", ANTHROPIC_BASE_URL=model.url)
    assert (chatted.returncode, chatted.stdout) == (0, "I will\nHere.\n")
    assert chatted.stderr.count("\n") == 1


def test_bytes_that_are_not_text_are_replaced_before_they_are_sent(sandbox: Sandbox, model: Model, run: Run) -> None:
    model.replies = ["Done.", "Done."]
    assert run("ask", "hi \udcff", ANTHROPIC_BASE_URL=model.url).returncode == 0
    assert model.requests[0]["messages"][0]["content"] == "hi ?"
    command = [*PROGRAM, "chat"]
    environment = {**os.environ, "ANTHROPIC_BASE_URL": model.url, "PYTHONUTF8": "1"}
    chatted = subprocess.run(command, input=b"hi \xff\n", capture_output=True, check=False, env=environment)
    assert (chatted.returncode, chatted.stderr) == (0, b"")
    assert len(model.requests) == 2


@pytest.mark.parametrize("events", [2, -2, -1])
def test_an_answer_without_an_end_is_not_a_success_and_its_calls_are_not_run(
    sandbox: Sandbox, talk: Talk, model: Model, events: int
) -> None:
    model.replies = [Raw(sse(answer(CALL)[:events])), "Yes."]
    conversation = talk()
    with pytest.raises(APIConnectionError, match="ended before it was complete"):
        conversation.say(f"cancel {EXAMPLE_ID}")
    assert cancels(sandbox) == []
    assert conversation.say("and now?") == "Yes."


@pytest.mark.parametrize(
    ("kind", "status"),
    [("overloaded_error", 529), ("rate_limit_error", 429), ("api_error", 500), ("billing_error", 402), ("new", 500)],
)
def test_an_error_in_the_middle_of_an_answer_goes_by_its_type(talk: Talk, model: Model, kind: str, status: int) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "Too much."}}
    model.replies = [Raw(sse([*answer("I will")[:3], error]))]
    with pytest.raises(APIStatusError, match=f'{status} {kind}: "Too much."') as caught:
        talk().say("hi")
    assert caught.value.status_code == status
    assert "200" not in failed(caught.value, "ask")


@pytest.mark.parametrize("nothing", [[], [("text", "")], [("text", " \n")]])
def test_an_empty_answer_is_reported_and_not_sent_back(talk: Talk, model: Model, nothing: list[Block]) -> None:
    model.replies = [nothing, "Hello."]
    conversation = talk()
    assert NO_ANSWER in conversation.say("hello")
    assert conversation.say("again") == "Hello."
    assert [message["role"] for message in model.requests[1]["messages"]] == ["user", "user"]


def test_of_an_answer_only_what_the_api_takes_back_is_sent_back(talk: Talk, model: Model) -> None:
    model.replies = [[("text", "\n"), ("cancel_message_batch", '["msgbatch_1"]')], "Hm.", "Hello."]
    conversation = talk()
    conversation.say("hello")
    conversation.say("again")
    for request in model.requests[1:]:
        (block,) = request["messages"][1]["content"]
        assert (block["type"], block["input"]) == ("tool_use", {})


def test_a_redirect_is_reported_and_gets_neither_the_conversation_nor_a_credential(model: Model, run: Run) -> None:
    with serving() as elsewhere:
        location = f"{elsewhere.url.replace('//', '//bob:password@')}/v1/messages?key={SECRET}"
        model.replies = [Raw(status=307, headers={"location": location})]
        custom = {"ANTHROPIC_CUSTOM_HEADERS": f"x-api-key: {SECRET}"}
        done = run("ask", "my question", ANTHROPIC_BASE_URL=model.url, **custom)
    assert done.returncode == 1
    assert f"redirects to {elsewhere.url}/v1/messages, and nothing was sent there" in done.stderr
    assert elsewhere.requests == []


def test_timeout_and_retries_hold_for_the_model_too(sandbox: Sandbox, model: Model, run: Run) -> None:
    limits = ("--timeout", "1s", "--max-retries", "0")
    model.replies = [Raw(sse(answer("I will")[:3]), cut=True, hang=True)]
    silent = run("ask", "hi", *limits, ANTHROPIC_BASE_URL=model.url)
    assert (silent.returncode, silent.stdout) == (1, "I will\n")
    assert "in time" in silent.stderr
    with serving() as failing:
        failing.replies = [Raw(status=500)] * 4
        assert run("ask", "hi", "--max-retries", "0", ANTHROPIC_BASE_URL=failing.url).returncode == 1
        assert run("chat", "--max-retries", "1", stdin="hi\n", ANTHROPIC_BASE_URL=failing.url).returncode == 0
    assert len(failing.requests) == 1 + 2


def test_a_reader_that_goes_away_ends_the_output_and_not_the_work(sandbox: Sandbox, model: Model) -> None:
    model.replies = [[("text", "I will cancel it now.\n"), *CALL], "Done."]
    reading, writing = os.pipe()
    os.close(reading)
    command = [*PROGRAM, "ask", f"cancel {EXAMPLE_ID}"]
    done = subprocess.run(
        command,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "ANTHROPIC_BASE_URL": model.url},
    )
    os.close(writing)
    assert done.returncode == 0, done.stderr
    assert (len(model.requests), model.canceled) == (2, [EXAMPLE_ID])


@pytest.mark.parametrize("stop_reason", ["max_tokens", "refusal", "end_turn"])
def test_a_call_in_an_answer_that_was_cut_short_is_reported_as_not_run(
    sandbox: Sandbox, talk: Talk, model: Model, stop_reason: str
) -> None:
    cut_short = [("cancel_message_batch", f'{{"message_batch_id": "{EXAMPLE_ID}')]
    model.replies = [Raw(sse(answer(cut_short, stop_reason))), "Hello."]
    conversation = talk()
    conversation.say(f"cancel {EXAMPLE_ID}")
    assert cancels(sandbox) == []
    conversation.say("again")
    (result,) = model.requests[1]["messages"][2]["content"]
    assert (result["is_error"], result["content"]) == (True, NOT_RUN)
