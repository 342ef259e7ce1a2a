"""Each framework's example, run as a user would run it: the real framework and its own provider for Claude.

The sandbox's scripted stand-in is the model. What the framework sent it tells what a model is given and told. A
framework that is not installed is skipped; `make test-frameworks` gives each an environment of its own.
"""

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.tools import CANCEL, LIST
from tests.conftest import ROOT, cancels
from tests.scripted import answer, sse


@dataclass(frozen=True)
class Framework:
    """An example, the module that it needs, and whether the framework's own approval switch is on for cancel.

    ``streams`` says that it takes the model's answer as a stream.
    """

    name: str
    module: str
    asks: bool
    streams: bool = False


FRAMEWORKS = [
    Framework("ag2", "ag2", asks=True),
    Framework("agent_framework", "agent_framework", asks=True),
    Framework("agno", "agno", asks=True),
    Framework("claude_agent_sdk", "claude_agent_sdk", asks=True),
    Framework("crewai", "crewai", asks=True),
    Framework("google_adk", "google.adk", asks=True),
    Framework("haystack", "haystack", asks=True),
    Framework("langchain", "langchain", asks=True),
    Framework("litellm", "litellm", asks=True),
    Framework("llama_index", "llama_index.core", asks=False),
    Framework("llm", "llm", asks=True, streams=True),
    Framework("openai_agents", "agents", asks=True),
    Framework("pydantic_ai", "pydantic_ai", asks=True),
    Framework("semantic_kernel", "semantic_kernel", asks=True),
    Framework("strands", "strands", asks=True),
]
NAME = attrgetter("name")
NEWER = [each for each in FRAMEWORKS if each.name in {"ag2", "crewai", "litellm", "llm"}]
LOSING = [each for each in FRAMEWORKS if each.name in {"litellm", "semantic_kernel"}]


@dataclass(frozen=True)
class Conversation:
    """How an example's run went: what it printed, and what the framework sent to the model."""

    printed: str
    requests: list[dict[str, Any]]

    @property
    def told(self) -> str:
        """What the model was told by the tools."""
        last = self.requests[-1]["messages"]
        blocks = [block for message in last if isinstance(message["content"], list) for block in message["content"]]
        return "\n".join(str(block["content"]) for block in blocks if block["type"] == "tool_result")


@pytest.fixture(params=FRAMEWORKS, ids=NAME)
def framework(request: pytest.FixtureRequest) -> Framework:
    wanted: Framework = request.param
    try:
        found = importlib.util.find_spec(wanted.module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        pytest.skip(f"{wanted.module} is not installed; `make test-frameworks` installs it")
    return wanted


def converse(framework: Framework, sandbox: Sandbox, request: str, typed: str = "") -> Conversation:
    """Run an example to its end with one request, and a person who types this."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / f"{framework.name}_agent.py", request],
        input=typed,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    bodies = [exchange.body for exchange in sandbox.journal if exchange.path.endswith("/v1/messages")]
    return Conversation(done.stdout, [body for body in bodies if body.get("tools")])  # others title the session


@pytest.fixture
def running(sandbox: Sandbox) -> str:
    return sandbox.account.add(requests=5000, age=600, status="in_progress")


def test_a_named_batch_is_canceled_once_and_the_model_hears_that_it_is_not_immediate(
    framework: Framework, sandbox: Sandbox, running: str
) -> None:
    conversation = converse(framework, sandbox, f"Cancel the message batch {running}.", "y\n")
    assert cancels(sandbox) == [running]
    assert "accepted but not immediate" in conversation.told
    assert "accepted but not immediate" in conversation.printed


def test_the_model_learns_that_an_id_is_unknown_and_the_run_continues(framework: Framework, sandbox: Sandbox) -> None:
    conversation = converse(framework, sandbox, "Cancel the message batch msgbatch_unknown.", "y\n")
    assert "There is no message batch msgbatch_unknown" in conversation.told
    assert "There is no message batch msgbatch_unknown" in conversation.printed


def test_the_model_is_given_our_words_and_the_id_as_required(framework: Framework, sandbox: Sandbox) -> None:
    conversation = converse(framework, sandbox, "what is running?")
    given = next(tool for tool in conversation.requests[0]["tools"] if tool["name"].endswith(CANCEL.name))
    assert CANCEL.description in " ".join(given["description"].split())
    schema = given["input_schema"]
    assert schema["required"] == ["message_batch_id"]
    argument = schema["properties"]["message_batch_id"]
    assert argument["type"] == "string"
    # Most read it in the docstring and put it into the schema; the others show the model the whole docstring.
    words = CANCEL.input_schema["properties"]["message_batch_id"]["description"]
    assert words in argument.get("description", "") + given["description"]


def test_listing_and_looking_run_without_asking(framework: Framework, sandbox: Sandbox, running: str) -> None:
    assert running in converse(framework, sandbox, "what is running?").told
    assert "is in_progress" in converse(framework, sandbox, f"is {running} still running?").told


@pytest.mark.parametrize("framework", [each for each in FRAMEWORKS if each.asks], ids=NAME, indirect=True)
def test_of_two_cancels_at_once_each_is_asked_for(framework: Framework, sandbox: Sandbox, running: str) -> None:
    other = sandbox.account.add(requests=500, age=60, status="in_progress")
    converse(framework, sandbox, f"Cancel {running} and {other}.", "y\ny\n")
    assert sorted(cancels(sandbox)) == sorted([running, other])


@pytest.mark.parametrize("framework", [each for each in FRAMEWORKS if each.asks], ids=NAME, indirect=True)
def test_without_the_persons_yes_nothing_is_sent(framework: Framework, sandbox: Sandbox, running: str) -> None:
    converse(framework, sandbox, f"Cancel the message batch {running}.", "n\n\n")
    assert cancels(sandbox) == []


def model_calls(tool: str, arguments: Any, sandbox: Sandbox, framework: Framework) -> None:
    """Let the model begin with this call, whatever it was asked."""
    events = answer([(tool, arguments)])
    call = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": arguments}
    message = {**events[0]["message"], "content": [call], "stop_reason": "tool_use"}
    body, kind = (sse(events), "text/event-stream") if framework.streams else (message, None)
    sandbox.fail(Fault(match="POST */v1/messages", body=body, content_type=kind))


@pytest.mark.parametrize("framework", NEWER, ids=NAME, indirect=True)
@pytest.mark.parametrize("given", [None, [EXAMPLE_ID], ...], ids=["null", "a list", "missing"])
def test_without_a_usable_id_nothing_is_canceled_and_the_model_hears_which_argument_is_wrong(
    framework: Framework, sandbox: Sandbox, given: Any
) -> None:
    model_calls(CANCEL.name, {} if given is ... else {"message_batch_id": given}, sandbox, framework)
    conversation = converse(framework, sandbox, f"Cancel the message batch {EXAMPLE_ID}.", "y\n")
    assert "message_batch_id" in conversation.told
    assert cancels(sandbox) == []


@pytest.mark.parametrize("framework", NEWER, ids=NAME, indirect=True)
def test_null_for_an_optional_argument_lists_as_if_it_were_not_given(
    framework: Framework, sandbox: Sandbox, running: str
) -> None:
    model_calls(LIST.name, {"status": None, "limit": None, "after_id": None}, sandbox, framework)
    assert running in converse(framework, sandbox, "what is running?").told


@pytest.mark.parametrize("framework", NEWER, ids=NAME, indirect=True)
def test_an_unknown_argument_is_ignored_or_reported_to_the_model(
    framework: Framework, sandbox: Sandbox, running: str
) -> None:
    model_calls(LIST.name, {"status": "in_progress", "color": "red"}, sandbox, framework)
    told = converse(framework, sandbox, "what is running?").told
    assert running in told or "color" in told


@pytest.mark.parametrize("framework", LOSING, ids=NAME, indirect=True)
def test_after_a_broken_connection_the_model_is_told_that_the_cancel_may_have_been_sent(
    framework: Framework, sandbox: Sandbox, running: str
) -> None:
    sandbox.fail(Fault(match="cancel", drop=True, after=True, times=0))
    told = converse(framework, sandbox, f"Cancel the message batch {running}.", "y\n").told
    assert f"It is not known whether the cancellation of {running} was accepted; it may have been." in told


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*_agent.py")), ids=lambda path: path.stem)
def test_an_example_is_short_enough_to_paste(example: Any) -> None:
    code = example.read_text().split('"""', 2)[2]
    lines = [line for line in code.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(lines) <= 20
