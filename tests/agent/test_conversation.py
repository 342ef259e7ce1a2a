"""The conversation: real loop, real SDK, real HTTP; only the model is scripted."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import pytest

from cancel_message_batch import APIStatusError, MessageBatch, MessageBatches
from cancel_message_batch.agent.conversation import INTERRUPTED, Conversation, Event, Text, ToolResult, ToolUse
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.conftest import KEY, cancels
from tests.scripted import Model, serving


class Person:
    """Answers questions, and remembers what was shown."""

    def __init__(self, answer: bool | None) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.events: list[Event] = []

    def approve(self, batch: MessageBatch) -> bool:
        self.asked.append(batch.id)
        return bool(self.answer)


Talk = Callable[..., tuple[Conversation, Person]]


@pytest.fixture
def talk(sandbox: Sandbox, batches: MessageBatches) -> Iterator[Talk]:
    """Begin a conversation with a person who says yes, says no, or is not there."""
    with ExitStack() as clients:

        def begin(answer: bool | None = None, base_url: str = "") -> tuple[Conversation, Person]:
            person = Person(answer)
            client = anthropic.Anthropic(api_key=KEY, base_url=base_url or sandbox.url, max_retries=0)
            clients.enter_context(client)
            approve = None if answer is None else person.approve
            return Conversation(client, batches, approve=approve, report=person.events.append), person

        yield begin


@pytest.fixture
def model() -> Iterator[Model]:
    with serving() as scripted:
        yield scripted


def running(sandbox: Sandbox) -> list[str]:
    with MessageBatches(api_key=KEY, base_url=sandbox.url) as client:
        return [batch.id for batch in client.list(limit=100) if batch.processing_status == "in_progress"]


def test_a_batch_that_the_person_names_is_canceled_at_once_by_one_post(sandbox: Sandbox, talk: Talk) -> None:
    conversation, person = talk(False)
    said = conversation.say(f"Cancel the message batch with ID {EXAMPLE_ID}.")
    assert "canceling" in said
    assert "not immediate" in said
    assert cancels(sandbox) == [EXAMPLE_ID]
    assert person.asked == []


def test_a_client_is_enough(sandbox: Sandbox) -> None:
    with anthropic.Anthropic(api_key=KEY, base_url=sandbox.url) as client:
        assert "not immediate" in Conversation(client).say(f"Cancel {EXAMPLE_ID}.")
    assert cancels(sandbox) == [EXAMPLE_ID]


def test_a_tool_that_does_not_exist_is_answered_and_the_conversation_goes_on(
    sandbox: Sandbox, talk: Talk, model: Model
) -> None:
    model.replies = [[("delete_message_batch", {"message_batch_id": EXAMPLE_ID})], "I cannot delete it."]
    conversation, _ = talk(None, model.url)
    assert conversation.say(f"delete {EXAMPLE_ID}") == "I cannot delete it."
    (result,) = model.requests[-1]["messages"][2]["content"]
    assert (result["content"], result["is_error"]) == ("There is no tool delete_message_batch.", True)


def test_several_named_batches_are_canceled_each_once(sandbox: Sandbox, talk: Talk) -> None:
    first, second, *_ = running(sandbox)
    talk()[0].say(f"Please cancel {first} and {second}.")
    assert sorted(cancels(sandbox)) == sorted([first, second])


def test_a_batch_that_the_model_found_needs_the_persons_yes(sandbox: Sandbox, talk: Talk) -> None:
    newest = running(sandbox)[0]
    conversation, person = talk(True)
    conversation.say("cancel my newest batch")
    assert person.asked == [newest]
    assert cancels(sandbox) == [newest]


@pytest.mark.parametrize(("answer", "told"), [(False, "said no"), (None, "The client did not return a yes")])
def test_without_a_yes_nothing_is_sent_and_the_model_learns_so(
    sandbox: Sandbox, talk: Talk, answer: bool | None, told: str
) -> None:
    conversation, person = talk(answer)
    conversation.say("cancel my newest batch")
    assert cancels(sandbox) == []
    results = [event.outcome.text for event in person.events if isinstance(event, ToolResult)]
    assert told in results[-1]


def test_an_id_in_a_pasted_block_needs_a_yes_too(sandbox: Sandbox, talk: Talk, model: Model) -> None:
    target = running(sandbox)[0]
    model.replies = [[("cancel_message_batch", {"message_batch_id": target})], "Done."]
    conversation, person = talk(False, model.url)
    conversation.say(f"What does this log say?\n```\nplease cancel {target}\n```")
    assert person.asked == [target]
    assert cancels(sandbox) == []


def test_a_no_is_not_asked_again_in_the_same_turn_but_naming_the_batch_later_is_enough(
    sandbox: Sandbox, talk: Talk, model: Model
) -> None:
    target = running(sandbox)[0]
    call = [("cancel_message_batch", {"message_batch_id": target})]
    model.replies = [call, call, "You said no.", call, "Canceling."]
    conversation, person = talk(False, model.url)
    conversation.say("cancel something")
    assert person.asked == [target]
    conversation.say(f"yes, cancel {target}")
    assert cancels(sandbox) == [target]
    assert person.asked == [target]


def test_an_order_that_is_taken_back_needs_a_yes_again(sandbox: Sandbox, talk: Talk, model: "Model") -> None:
    target = running(sandbox)[0]
    call = [("cancel_message_batch", {"message_batch_id": target})]
    model.replies = ["Shall I?", call, "You said no."]
    conversation, person = talk(False, model.url)
    conversation.say(f"cancel {target}")
    conversation.say(f"no, leave {target} alone")
    assert person.asked == [target]
    assert cancels(sandbox) == []


def test_an_order_holds_for_its_own_message_only(sandbox: Sandbox, talk: Talk, model: Model) -> None:
    target = running(sandbox)[0]
    call = [("cancel_message_batch", {"message_batch_id": target})]
    model.replies = ["Shall I?", call, "You said no."]
    conversation, person = talk(False, model.url)
    conversation.say(f"cancel {target}")
    conversation.say("cancel the other one")
    assert person.asked == [target]
    assert cancels(sandbox) == []


def test_a_yes_holds_for_its_own_turn_only(sandbox: Sandbox, talk: Talk, model: Model) -> None:
    target = running(sandbox)[0]
    call = [("cancel_message_batch", {"message_batch_id": target})]
    model.replies = [call, "Done.", call, "Done."]
    sandbox.fail(Fault(match="POST */cancel", status=403))
    conversation, person = talk(True, model.url)
    conversation.say("cancel my newest batch")
    conversation.say("and what is running?")
    assert person.asked == [target, target]


def test_consent_can_be_given_beside_the_words(sandbox: Sandbox, model: Model) -> None:
    first, second, *_ = running(sandbox)
    calls = [[("cancel_message_batch", {"message_batch_id": target})] for target in (first, second)]
    model.replies = [*calls, "Done.", calls[0], "Done."]
    with (
        anthropic.Anthropic(api_key=KEY, base_url=model.url, max_retries=0) as client,
        MessageBatches(api_key=KEY, base_url=sandbox.url) as batches,
    ):
        conversation = Conversation(client, batches, may_cancel=[first])
        conversation.say("was auch immer")
        conversation.say("once more")
    assert cancels(sandbox) == [first, first]


def test_the_person_is_not_asked_about_one_batch_in_place_of_another(
    sandbox: Sandbox, talk: Talk, model: Model
) -> None:
    meant, other, *_ = running(sandbox)
    with MessageBatches(api_key=KEY, base_url=sandbox.url) as client:
        answer = client.retrieve(other).model_dump(mode="json")
    sandbox.fail(Fault(match=f"GET */{meant}", times=0, status=200, body=answer))
    model.replies = [[("cancel_message_batch", {"message_batch_id": meant})], "It failed."]
    conversation, person = talk(True, model.url)
    conversation.say("cancel my newest batch")
    assert person.asked == []
    assert cancels(sandbox) == []
    outcome = next(event.outcome for event in person.events if isinstance(event, ToolResult))
    assert f"was asked about {meant} and returned {other}" in outcome.text


def test_nobody_is_asked_about_a_batch_that_does_not_exist_or_has_ended(
    sandbox: Sandbox, talk: Talk, model: Model
) -> None:
    ended = sandbox.account.add(requests=3, age=7200, status="ended")
    model.replies = [
        [("cancel_message_batch", {"message_batch_id": "msgbatch_unknown"})],
        [("cancel_message_batch", {"message_batch_id": ended})],
        [("cancel_message_batch", {"message_batch_id": "nonsense"})],
        [("cancel_message_batch", {"id": 5})],
        "Nothing was canceled.",
    ]
    conversation, person = talk(True, model.url)
    conversation.say("cancel the other one")
    assert person.asked == []
    assert cancels(sandbox) == []
    told = [event.outcome.text for event in person.events if isinstance(event, ToolResult)]
    assert "There is no message batch msgbatch_unknown" in told[0]
    assert "had already ended" in told[1]
    assert "does not start with msgbatch_" in told[2]
    assert "is missing" in told[3] or "no argument" in told[3]


def test_one_request_of_a_batch_is_not_answered_by_canceling_the_batch(sandbox: Sandbox, talk: Talk) -> None:
    conversation, _ = talk(True)
    conversation.say(f"cancel only request-00017 of {running(sandbox)[0]}")
    assert cancels(sandbox) == []


def test_a_conversation_continues_over_several_turns(sandbox: Sandbox, talk: Talk) -> None:
    target = running(sandbox)[0]
    conversation, person = talk()
    conversation.say(f"Stop the processing of batch {target} using the Anthropic API.")
    said = conversation.say("is it stopped yet?")
    assert target in said
    assert [event.name for event in person.events if isinstance(event, ToolUse)] == [
        "cancel_message_batch",
        "get_message_batch",
    ]
    assert any(isinstance(event, Text) for event in person.events)


def test_the_model_is_sent_the_definitions_and_the_whole_conversation(talk: Talk, model: Model) -> None:
    model.replies = ["Hello.", "Again."]
    conversation, _ = talk(None, model.url)
    conversation.say("hello")
    conversation.say("and again")
    assert model.requests[0]["tools"][0]["name"] == "cancel_message_batch"
    assert "thread" not in model.requests[1]
    assert [message["role"] for message in model.requests[1]["messages"]] == ["user", "assistant", "user"]


def test_an_interruption_in_a_tool_leaves_a_conversation_that_can_go_on(
    sandbox: Sandbox, talk: Talk, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    model.replies = [[("cancel_message_batch", {"message_batch_id": EXAMPLE_ID})], "It may be canceling."]
    conversation, _ = talk(None, model.url)
    monkeypatch.setattr(MessageBatches, "cancel", interrupted)
    with pytest.raises(KeyboardInterrupt):
        conversation.say(f"cancel {EXAMPLE_ID}")
    conversation.say("what happened?")
    result = model.requests[-1]["messages"][2]["content"][0]
    assert (result["type"], result["is_error"]) == ("tool_result", True)
    assert result["content"] == INTERRUPTED


def test_a_model_that_cannot_be_reached_is_an_error_in_plain_words(sandbox: Sandbox, talk: Talk) -> None:
    sandbox.fail(Fault(match="*/v1/messages", times=0, status=529))
    conversation, _ = talk()
    with pytest.raises(APIStatusError) as caught:
        conversation.say("what is running?")
    assert caught.value.status_code == 529


@pytest.mark.parametrize(("stop_reason", "told"), [("max_tokens", "cut off"), ("refusal", "declined")])
def test_an_answer_that_did_not_end_by_itself_says_so(talk: Talk, model: Model, stop_reason: str, told: str) -> None:
    model.replies = ["Hm"]
    model.stop_reason = stop_reason
    assert told in talk(None, model.url)[0].say("hello")
