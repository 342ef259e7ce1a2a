"""The whole story on one machine, without a key: `make demo`.

A real conversation loop, the real Anthropic SDK and real HTTP, against the sandbox on a free port of this machine.
Only the model is a stand-in: it follows a script, and says so every time. With ``--model-url URL --model NAME`` it is
any server of the Messages API instead, such as Ollama: `make demo MODEL_URL=URL MODEL=NAME`.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

import anthropic

from cancel_message_batch import MessageBatches
from cancel_message_batch.agent import DEFAULT_MODEL, Conversation, Event, Text, ToolResult, ToolUse
from cancel_message_batch.agent.model_server import model_client
from cancel_message_batch.api.credentials import Connection, connect_model, model_place
from cancel_message_batch.api.errors import MessageBatchError
from cancel_message_batch.api.models import EXAMPLE_ID, MessageBatch
from cancel_message_batch.cli.terminal import fitted, paint
from cancel_message_batch.results.requests_file import RequestsFile
from cancel_message_batch.results.saving import RESUBMIT_FILE, RESULTS_FILE, Options, save
from cancel_message_batch.sandbox import Account, Sandbox
from cancel_message_batch.words import failures, states

PAUSE = 0.6 if sys.stdout.isatty() else 0.0


def tell(text: str = "") -> None:
    """Print what the narrator says."""
    print(fitted(text, sys.stdout), flush=True)
    time.sleep(PAUSE)


def speak(who: str, text: str, color: str = "1") -> None:
    """Print what somebody says."""
    print(fitted(f"{who} {text}", sys.stdout).replace(who, paint(who, color, sys.stdout), 1), flush=True)
    time.sleep(PAUSE)


class Story:
    """Shows the conversation as it goes, and each request of it on the wire."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._seen = 0
        self._answer = ""

    def report(self, event: Event) -> None:
        """Show what happens in the conversation."""
        match event:
            case Text(text):
                self._answer += text
            case ToolUse(name, arguments):
                self.flush()
                given = ", ".join(str(value) for value in arguments.values())
                print(paint(f"  → {name} {given}", "36", sys.stdout))
            case ToolResult():
                self.wire()

    def flush(self) -> None:
        """Print what the model has said so far."""
        if self._answer.strip():
            speak("Agent:", self._answer.strip())
        self._answer = ""

    def wire(self) -> None:
        """Print the requests to the Message Batches API since last time, one per line."""
        for exchange in self._sandbox.journal[self._seen :]:
            if "/batches" in exchange.path:
                print(paint(f"    {exchange.method} {exchange.path} → {exchange.status}", "2", sys.stdout))
        self._seen = len(self._sandbox.journal)

    def approve(self, batch: MessageBatch) -> bool:
        """Ask as the chat does; here the answer is part of the story."""
        self.wire()
        speak("?", states.question(batch), "33")
        speak("You:", "yes")
        return True


def last_act(sandbox: Sandbox, batches: MessageBatches, client: anthropic.Anthropic) -> None:
    """Save what was paid for, and send what is left as a new batch."""
    tell()
    tell("And what is left? A batch of 1,000 requests from a file is canceled halfway, and has ended:")
    params = {"model": "claude-sonnet-5-5", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
    made = [{"custom_id": f"request-{number}", "params": params} for number in range(1_000)]
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "requests.jsonl")
        file.write_text("".join(json.dumps(one) + "\n" for one in made))
        first = client.messages.batches.create(requests=cast("Any", made)).id
        sandbox.account.advance(10)
        batches.cancel(first)
        sandbox.account.advance(600)
        saved = save(batches, first, Path(directory, "out"), Options(requests=RequestsFile(file)))
        for line in saved.lines[:2]:
            tell(line)
        resubmit = Path(directory, "out", first, RESUBMIT_FILE)
        left = [json.loads(line) for line in resubmit.read_text().splitlines()]
        tell(f"{len(left):,} requests are left to send again: resubmit.jsonl is sent as a new batch.")
        second = client.messages.batches.create(requests=left).id
        sandbox.account.advance(24 * 3600)
        save(batches, second, Path(directory, "out"))
        done = Counter[str]()
        for name in (first, second):
            lines = Path(directory, "out", name, RESULTS_FILE).read_text().splitlines()
            every = map(json.loads, lines)
            done.update(each["custom_id"] for each in every if each["result"]["type"] == "succeeded")
        once = sum(number == 1 for number in done.values())
        tell(f"The successes of both batches cover {once:,} of {len(made):,} requests exactly once.")


def main() -> None:
    """Read which model is to play its part, and tell the story."""
    parser = argparse.ArgumentParser(description="A conversation that cancels batches in a sandbox on this machine.")
    text = "a server of the Messages API that has the model (default: ANTHROPIC_MODEL_URL, else a scripted stand-in)"
    parser.add_argument("--model-url", metavar="URL", help=text)
    parser.add_argument("--model", help="the name of the model there (default: ANTHROPIC_MODEL)")
    given = parser.parse_args()
    model = given.model or os.environ.get("ANTHROPIC_MODEL", "")
    try:
        server = connect_model(given.model_url)
    except MessageBatchError as error:
        parser.error(str(error))
    if server and not model:
        parser.error(failures.unnamed_model(server.base_url))
    try:
        tell_story(server, model or DEFAULT_MODEL)
    except MessageBatchError as error:
        sys.exit(failures.model_failed(error, model_place(server.base_url)) if server else str(error))


def tell_story(server: Connection | None, model: str) -> None:
    """Tell the story, with the model of a server, or else with the scripted one."""
    os.environ["CANCEL_MESSAGE_BATCH_RECORD"] = "off"  # the sandbox's batches are not yours
    with Sandbox(account=Account.example(speed=40.0)) as sandbox:
        batches = MessageBatches(api_key="demo", base_url=sandbox.url)
        story = Story(sandbox)
        client = anthropic.Anthropic(api_key="demo", base_url=sandbox.url)
        asked = model_client(server) if server else client
        conversation = Conversation(asked, batches, model=model, approve=story.approve, report=story.report)

        tell("You have sent thousands of requests to Claude as Message Batches, and the prompt is wrong.")
        tell(f"This is a sandbox of the Message Batches API on your machine, at {sandbox.url}; no key is needed.")
        who = f"The model is {model}, at {server.base_url}." if server else "The model is a scripted stand-in."
        tell(f"{who} The loop, the SDK and the HTTP are the real ones.")
        running = [batch.id for batch in batches.list() if batch.processing_status == "in_progress"]
        story.wire()
        for request in (
            f"Cancel the message batch with ID {EXAMPLE_ID}.",
            f"Stop the processing of batch {running[1]} using the Anthropic API.",
            "is it stopped yet?",
            "cancel my newest batch",
        ):
            tell()
            speak("You:", request)
            conversation.say(request)
            story.flush()

        tell()
        if batches.retrieve(running[0]).processing_status == "in_progress":
            tell("The model has not canceled your newest batch, so that is done here:")
            batches.cancel(running[0])
            story.wire()
        tell("A batch that is canceling has not stopped yet. This waits until your newest batch has really ended:")
        while not (batch := batches.retrieve(running[0])).ended:
            time.sleep(0.5)
        tell(states.status(batch))
        last_act(sandbox, batches, client)
        tell()
        tell("To do the same with your own account:")
        tell("  export ANTHROPIC_API_KEY=…")
        tell('  .venv/bin/cancel-message-batch ask "cancel my newest batch"')


if __name__ == "__main__":
    main()
