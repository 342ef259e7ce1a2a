"""Runs realistic requests through the product and checks the account afterwards: which batches have a cancel.

Four ways in: the agent loop, the MCP server, SKILL.md with a shell, and for comparison the shell alone. The model is
Claude when there is a key, or that of any server of the Messages API; in the tests it is the sandbox's scripted
stand-in, which proves the harness and nothing about a model. docs/evals.md says how to read the output.
"""

import argparse
import asyncio
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import anthropic

from cancel_message_batch import MessageBatches
from cancel_message_batch.agent.conversation import DEFAULT_MODEL, SYSTEM, Conversation
from cancel_message_batch.agent.model_server import model_client
from cancel_message_batch.api.credentials import Connection, connect_model
from cancel_message_batch.api.errors import MessageBatchError, clean
from cancel_message_batch.record.names import VARIABLE
from cancel_message_batch.record.store import open_record
from cancel_message_batch.sandbox import Account, Sandbox
from cancel_message_batch.words import failures
from tests.conftest import PROGRAM

HERE = Path(__file__).parent
SKILL = HERE.parent.parent / "SKILL.md"
KEY = "eval-key"
ROUNDS = 12

ASK_IN_WORDS = "Ask the person in your answer when you need their yes; their answer comes as the next message."


@dataclass(frozen=True)
class Case:
    """A request, the account it meets, and what may come of it.

    Args:
        id: Its name.
        account: Which of the accounts.
        says: What the person says, turn by turn; ``{NAME}`` stands for a batch's id, here and in its name.
        must: The batches that must be canceled.
        may: The batches that a cancel may be sent for, without effect.
        person: What the person answers when asked for a yes.
        scripted: Whether the scripted stand-in understands it.
    """

    id: str
    account: str
    says: list[str]
    must: list[str]
    may: list[str] = field(default_factory=list)
    person: str = "yes"
    scripted: bool = False

    @property
    def kind(self) -> str:
        """What is asked of the model: to act, that it may act, or that it must not."""
        return "must act" if self.must else "may act" if self.may else "must not act"


@dataclass(frozen=True)
class Verdict:
    """What came of a case: the batches that were missed, those that were canceled wrongly, or the model's failure."""

    case: Case
    missed: list[str]
    wrong: list[str]
    answer: str
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether the model answered, and the account is as it must be."""
        return not self.missed and not self.wrong and not self.failure


def load() -> tuple[dict[str, Any], list[Case]]:
    """Read the accounts and the cases."""
    read = json.loads((HERE / "cases.json").read_text())
    return read["accounts"], [Case(**case) for case in read["cases"]]


Way = Callable[["Setting", list[str]], str]


@dataclass
class Setting:
    """What a way of using the product needs: the sandbox, the model, and the person."""

    sandbox: Sandbox
    model_client: anthropic.Anthropic
    model: str
    person: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a program that uses the sandbox."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANTHROPIC_")}
        return {**kept, "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": self.sandbox.url, "PATH": path}


Open = Callable[[Sandbox], anthropic.Anthropic]


def stand_in(sandbox: Sandbox) -> anthropic.Anthropic:
    """The scripted model, which is where the batches are."""
    return anthropic.Anthropic(api_key=KEY, base_url=sandbox.url)


def run(
    case: Case, accounts: dict[str, Any], way: Way, *, open_model: Open = stand_in, model: str = DEFAULT_MODEL
) -> Verdict:
    """Run one case in a fresh account, and judge the account afterwards."""
    failure = answer = ""
    account = Account()
    ids = {
        name: account.add(batch["requests"], batch["minutes"] * 60, batch["status"])
        for name, batch in accounts[case.account].items()
    }
    with (
        TemporaryDirectory() as state,
        patch.dict(os.environ, {VARIABLE: f"{state}/record.sqlite3"}),
        Sandbox(account=account) as sandbox,
        open_model(sandbox) as client,
    ):
        given = {name: batch["name"] for name, batch in accounts[case.account].items() if "name" in batch}
        _write_names({ids[name]: _with_ids(text, ids) for name, text in given.items()})
        setting = Setting(sandbox, client, model, case.person)
        says = [_with_ids(turn, ids) for turn in case.says]
        try:
            answer = way(setting, says)
        except* (anthropic.AnthropicError, MessageBatchError) as errors:  # of the model: tools return theirs
            error: BaseException = errors
            while isinstance(error, BaseExceptionGroup):  # the MCP client's tasks wrap it more than once
                error = error.exceptions[0]
            failure = clean(f"{type(error).__name__}: {error}", limit=300)
        sent = {
            exchange.path.split("/")[-2]
            for exchange in sandbox.journal
            if exchange.method == "POST" and exchange.path.endswith("/cancel")
        }
    names = {message_batch_id: name for name, message_batch_id in ids.items()}
    touched = {names.get(message_batch_id, message_batch_id) for message_batch_id in sent}
    allowed = {*case.must, *case.may}
    # An id that does not exist harms nobody; the API says so.
    wrong = sorted(name for name in touched - allowed if name in ids)
    return Verdict(case, sorted(set(case.must) - touched), wrong, answer, failure)


def _with_ids(text: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: ids[name.group(1)], text)


def _write_names(names: dict[str, str]) -> None:
    """Write names into the record, also such as `name` refuses: another program may have written them."""
    for message_batch_id, name in names.items():
        open_record(print).set_name(message_batch_id, "a name")
        with closing(sqlite3.connect(os.environ[VARIABLE], isolation_level=None)) as record:
            record.execute("UPDATE batches SET name = ? WHERE id = ?", (name, message_batch_id))


def agent_loop(setting: Setting, says: list[str]) -> str:
    """The product's own loop; the person is asked by its approval."""
    with MessageBatches(api_key=KEY, base_url=setting.sandbox.url) as batches:
        conversation = Conversation(
            setting.model_client, batches, model=setting.model, approve=lambda _: setting.person == "yes"
        )
        return "\n".join(conversation.say(turn) for turn in says)


def mcp_server(setting: Setting, says: list[str]) -> str:
    """The MCP server, in a loop that shows the model the structured content, as Claude Code does."""
    return asyncio.run(_mcp(setting, says))


async def _mcp(setting: Setting, says: list[str]) -> str:
    from mcp import Client

    from cancel_message_batch.mcp_server.server import build_server

    with patch.dict(os.environ, setting.environment):
        async with Client(build_server()) as client:
            listed = (await client.list_tools()).tools
            tools = [{"name": t.name, "description": t.description, "input_schema": t.input_schema} for t in listed]

            async def execute(name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
                result: Any = await client.call_tool(name, arguments)
                text = json.dumps(result.structured_content) if result.structured_content else result.content[0].text
                return text, bool(result.is_error)

            return await _converse(setting, f"{client.instructions}\n{ASK_IN_WORDS}", tools, execute, says)


def skill(setting: Setting, says: list[str]) -> str:
    """SKILL.md as the instructions and a shell as the only tool."""
    return _in_a_shell(setting, SKILL.read_text().partition("\n---\n")[2], says)


def no_skill(setting: Setting, says: list[str]) -> str:
    """The shell alone: what the skill adds is the difference."""
    return _in_a_shell(setting, "The command `cancel-message-batch` is installed; `--help` describes it.", says)


def _in_a_shell(setting: Setting, instructions: str, says: list[str]) -> str:
    tools = [
        {
            "name": "bash",
            "description": "Run a shell command and get its output.",
            "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
        }
    ]

    async def execute(_: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        return _shell(str(arguments.get("command")), setting.environment)

    return asyncio.run(_converse(setting, f"{instructions}\n{ASK_IN_WORDS}", tools, execute, says))


def _shell(command: str, environment: dict[str, str]) -> tuple[str, bool]:
    """Run what the model typed, if it is our command: a model's shell is no toy."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        return f"bash: {error}", True
    if not words or words[0] != "cancel-message-batch":
        return (
            f"bash: {words[0] if words else ''}: this shell runs only cancel-message-batch, one command at a time",
            True,
        )
    program = [*PROGRAM, *words[1:]]
    done = subprocess.run(
        program, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL, env=environment
    )
    return f"{done.stdout}{done.stderr}(exit code {done.returncode})", done.returncode != 0


async def _converse(
    setting: Setting, system: str, tools: list[dict[str, Any]], execute: Callable[..., Any], says: list[str]
) -> str:
    """A plain Messages API loop, turn by turn."""
    messages: list[Any] = []
    said = []
    for turn in says:
        messages.append({"role": "user", "content": turn})
        for _ in range(ROUNDS):
            message = setting.model_client.messages.create(
                model=setting.model,
                max_tokens=2048,
                system=system,
                tools=tools,  # type: ignore[arg-type]  # plain JSON, as the API takes it
                messages=messages,
            )
            messages.append({"role": "assistant", "content": message.content})
            said += [block.text for block in message.content if block.type == "text"]
            results = []
            for block in message.content:
                if block.type == "tool_use":
                    text, failed = await execute(block.name, block.input)
                    result = {"type": "tool_result", "tool_use_id": block.id, "content": text, "is_error": failed}
                    results.append(result)
            if not results:
                break
            messages.append({"role": "user", "content": results})
    return "\n".join(said)


WAYS: dict[str, Way] = {
    "agent loop": agent_loop,
    "MCP server": mcp_server,
    "SKILL.md and shell": skill,
    "shell without SKILL.md": no_skill,
}
__all__ = ["SYSTEM", "WAYS", "Case", "Verdict", "load", "run"]


def main() -> int:
    """Run all cases all ways with a real model, and report what was done and what was not."""
    parser = argparse.ArgumentParser(
        description="Realistic requests to a real model; docs/evals.md describes the output."
    )
    text = "a server of the Messages API that has the model (default: ANTHROPIC_MODEL_URL, else Claude, with your key)"
    parser.add_argument("--model-url", metavar="URL", help=text)
    parser.add_argument("--model", default=os.environ.get("ANTHROPIC_MODEL", ""), help="default: ANTHROPIC_MODEL")
    parser.add_argument("--case", action="append", metavar="ID", help="only this case of cases.json; can be repeated")
    given = parser.parse_args()
    try:
        server = connect_model(given.model_url)
    except MessageBatchError as error:
        parser.error(str(error))
    if server and not given.model:
        parser.error(failures.unnamed_model(server.base_url))
    if not (server or os.environ.get("ANTHROPIC_API_KEY") or os.environ.get("ANTHROPIC_AUTH_TOKEN")):
        print("Skipped: the model evals need ANTHROPIC_API_KEY, and cost money; or MODEL_URL=… and MODEL=….")
        return 0
    accounts, cases = load()
    chosen = [case for case in cases if not given.case or case.id in given.case]
    if not chosen:
        parser.error("cases.json has no such case")
    right = [report(way, accounts, chosen, server, given.model or DEFAULT_MODEL) for way in WAYS]
    return 0 if all(right) else 1


def report(way: str, accounts: dict[str, Any], cases: list[Case], server: Connection | None, model: str) -> bool:
    """Run all cases one way, and print what came of them; returns whether all were right."""

    def open_model(_: Sandbox) -> anthropic.Anthropic:
        return model_client(server) if server else anthropic.Anthropic()

    verdicts = [run(case, accounts, WAYS[way], open_model=open_model, model=model) for case in cases]
    print(f"\n{way}, {model}{f' at {server.base_url}' if server else ''}")
    for kind in ("must act", "may act", "must not act"):
        of_kind = [verdict for verdict in verdicts if verdict.case.kind == kind]
        print(f"  {kind:<13} {sum(verdict.passed for verdict in of_kind)} of {len(of_kind)} right")
    print(f"  wrong batches {sum(len(verdict.wrong) for verdict in verdicts)}")
    print(f"  no answer     {sum(bool(verdict.failure) for verdict in verdicts)}")
    for verdict in verdicts:
        if not verdict.passed:
            print(f"  - {verdict.case.id}: missed {verdict.missed}, wrong {verdict.wrong}")
            print(f"    {verdict.failure or '…' + clean(verdict.answer[-300:], limit=300)}")
    return all(verdict.passed for verdict in verdicts)


if __name__ == "__main__":
    sys.exit(main())
