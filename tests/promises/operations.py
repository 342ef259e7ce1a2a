"""The columns of the matrix: each operation meets a fault, and what it says is held against the sandbox's own state."""

import json
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anthropic
import pytest

from cancel_message_batch import guard
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import PROGRAM, Run, cancels
from tests.guarding.programs import REQUESTS, TroubleError, fails
from tests.mcp_server.clients import call, text

LIMIT = 1  # second that an operation may take
FLAGS = ("--timeout", f"{LIMIT}s", "--max-retries", "1")
CREATES = """
import json, os, sys, urllib.request
body = json.dumps({"requests": [{"custom_id": "q", "params": {"model": "claude-haiku-4-5"}}]}).encode()
headers = {"x-api-key": os.environ["ANTHROPIC_API_KEY"], "anthropic-version": "2023-06-01"}
headers["content-type"] = "application/json"
url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages/batches"
print(json.load(urllib.request.urlopen(urllib.request.Request(url, body, headers)))["id"], flush=True)
sys.exit(1)
"""


@dataclass
class Place:
    """Where an operation works: an account with two batches that run and one that has ended."""

    sandbox: Sandbox
    run: Run
    folder: Path
    log: pytest.LogCaptureFixture
    running: str
    another: str
    ended: str
    late: str = ""  # what the MCP server said at its own deadline, which cuts a wait after a 429 short: it sees no 429

    def status(self, message_batch_id: str) -> str:
        return self.sandbox.account.get(message_batch_id).status(self.sandbox.account.now())


@dataclass
class Shown:
    """What an operation showed to a person, a program or a model, and what it said of the outcome in one word."""

    text: str
    said: str


Does = Callable[[Place], Shown]

# What is said of a cancel, in the words of each door.
SAYS = {
    "accepted": r"message batch {id} \([^)]*\) is accepted|{id}:? canceling\n|Canceling: {id}\b",
    "unknown": r"whether the cancellation of {id} was accepted|{id} is not confirmed|{id} unconfirmed",
    "refused": r"{id} was not canceled|There is no message batch {id} .*nothing was canceled",
}


def told(place: Place, shown: str, *meant: str) -> Shown:
    """Check that each cancel is told in one way, the true one, and that no other batch was asked to be canceled."""
    assert set(cancels(place.sandbox)) <= set(meant)
    words = {one: word_for(shown, one) for one in meant}
    for one, word in words.items():
        _check(place, one, word)
    (said,) = set(words.values())
    return Shown(shown, said)


def word_for(shown: str, message_batch_id: str) -> str:
    """Return the one word for what a text says of the cancel of a batch."""
    words = [word for word, says in SAYS.items() if re.search(says.replace("{id}", message_batch_id), shown)]
    assert len(words) == 1, (words, shown)
    return words[0]


def _check(place: Place, message_batch_id: str, word: str) -> None:
    answers = [entry.status for entry in place.sandbox.journal if entry.path.endswith(f"/{message_batch_id}/cancel")]
    # A redirect, a 4xx and a 529 are refusals; anything else may have come after the effect, also no answer.
    all_refused = all(status is not None and (300 <= status < 500 or status == 529) for status in answers)
    canceling = place.status(message_batch_id) == "canceling"
    truths = {"accepted": canceling, "refused": all_refused and not canceling, "unknown": not all_refused}
    truths["unknown"] |= "did not answer within" in place.late
    assert truths[word], (word, answers, place.status(message_batch_id))


def cancel(place: Place) -> Shown:
    done = place.run(place.running, *FLAGS)
    shown = told(place, done.stdout + done.stderr, place.running)
    assert (done.returncode == 0) == (shown.said == "accepted"), done.returncode
    return shown


def cancel_many(place: Place) -> Shown:
    done = place.run(place.running, place.another, *FLAGS)
    return told(place, done.stdout + done.stderr, place.running, place.another)


def get(place: Place) -> Shown:
    done = place.run("status", place.running, *FLAGS)
    return _read(place, done, done.returncode == 0)


def list_them(place: Place) -> Shown:
    done = place.run("list", *FLAGS)
    return _read(place, done, done.returncode == 0)


def _read(place: Place, done: "subprocess.CompletedProcess[str]", found: bool) -> Shown:
    """Check that a look shows the states that the API gave, or an error and nothing else; and cancels nothing."""
    assert cancels(place.sandbox) == []
    assert found or (done.stderr and not done.stdout)
    for one in (place.running, place.another, place.ended):
        for status in re.findall(rf"{one}\s+(?:status\s+)?(\w+)", done.stdout):
            assert status in {place.status(one), "sandbox_new"}
    return Shown(done.stdout + done.stderr, "shown" if found else "error")


def wait(place: Place) -> Shown:
    done = place.run("wait", place.ended, *FLAGS)
    assert ("has ended" in done.stdout) == (done.returncode == 0)
    assert done.returncode in {0, 1, 5}
    assert cancels(place.sandbox) == []
    return Shown(done.stdout + done.stderr, {0: "ended", 1: "error", 5: "time up"}[done.returncode])


def results(place: Place) -> Shown:
    done = place.run("results", place.ended, "--out", str(place.folder / "saved"), *FLAGS)
    saved = list((place.folder / "saved").rglob("results.jsonl"))
    assert len(saved) == (done.returncode in {0, 4}), done.stderr
    for path in saved:  # whole, and private
        assert path.read_bytes().count(b'"custom_id"') + path.read_bytes().count(b'"\xffcustom_id"') == 3
        assert sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == 0o600
    return Shown(done.stdout + done.stderr, "saved" if saved else "error")


def ask(place: Place) -> Shown:
    done = place.run("ask", f"cancel {place.running}", *FLAGS)
    talked = [entry.body for entry in place.sandbox.journal if entry.path.endswith("/messages")]
    last = talked[-1]["messages"][-1]["content"]
    to_the_model = last[0]["content"] if isinstance(last, list) else ""  # nothing, where the model is not reached again
    assert len(to_the_model) < 2000
    person = told(place, done.stdout + done.stderr, place.running)
    return told(place, f"{person.text}{to_the_model}", place.running)


def over_mcp(place: Place) -> Shown:
    result = call("cancel_message_batch", {"message_batch_id": place.running}, timeout=LIMIT)
    place.late = text(result)
    shown = told(place, text(result), place.running)
    assert place.running in json.dumps(result.structured_content) or result.is_error
    assert len(shown.text) < 2000
    return shown


def guarded(place: Place) -> Shown:
    place.log.clear()
    created: list[str] = []
    with anthropic.Anthropic(max_retries=1) as sdk, fails() as notes, guard(sdk, deadline=LIMIT) as batches:
        created.append(batches.create(requests=REQUESTS).id)
        raise TroubleError
    logged = [entry.getMessage() for entry in place.log.records if entry.name == "cancel_message_batch.guard"]
    return told(place, "\n".join([*logged, *notes]), *created)


def under_run(place: Place) -> Shown:
    command = [*PROGRAM, "run", "--deadline", f"{LIMIT}s", "--", sys.executable, "-S", "-c", CREATES]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return told(place, done.stderr, done.stdout.strip())


@dataclass(frozen=True)
class Column:
    """An operation, the API's operation that fails, and how often it fails; 0: always."""

    does: Does
    fails: str
    times: int = 0


COLUMNS = {
    "cancel": Column(cancel, "cancel"),
    "cancel, fails once": Column(cancel, "cancel", times=1),
    "many": Column(cancel_many, "cancel"),
    "get": Column(get, "retrieve"),
    "list": Column(list_them, "list"),
    "wait": Column(wait, "retrieve"),
    "results": Column(results, "results"),
    "ask": Column(ask, "cancel"),
    "MCP": Column(over_mcp, "cancel"),
    "guard": Column(guarded, "cancel"),
    "run": Column(under_run, "cancel"),
}
