"""Faults on the way to the model: told in a sentence, with no secret in it, and the conversation can go on."""

import json
from collections.abc import Iterator

import anthropic
import pytest

from cancel_message_batch import ConfigurationError, MessageBatches
from cancel_message_batch.agent import Conversation
from cancel_message_batch.sandbox import Sandbox

from .conftest import Run
from .scripted import Model, Raw, serving

SECRET = "tok-SECRETSECRETSECRET"  # no credential of anybody's


@pytest.fixture
def model() -> Iterator[Model]:
    with serving() as scripted:
        yield scripted


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


def test_a_client_of_ones_own_with_an_impossible_credential_does_not_show_it(
    batches: MessageBatches, sandbox: Sandbox
) -> None:
    with anthropic.Anthropic(auth_token=f"{SECRET}\nX", base_url=sandbox.url, max_retries=0) as client:
        conversation = Conversation(client, batches)
        with pytest.raises(ConfigurationError, match="a character that no header may have") as caught:
            conversation.say("hi")
    assert "SECRET" not in str(caught.value)
