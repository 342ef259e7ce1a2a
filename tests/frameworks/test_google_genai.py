"""The example for google-genai: its calls go to Gemini's API, so what the scripted model says is written down here."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.tools import CANCEL, GET, LIST
from tests.conftest import ROOT, cancels

pytest.importorskip("google.genai", reason="google-genai is not installed; `make test-frameworks` installs it")


class Gemini:
    """Makes the calls that a test wrote down, one a turn, then answers."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.requests: list[dict[str, Any]] = []

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        name, arguments = self.calls.pop(0) if self.calls else ("", {})
        part = {"functionCall": {"name": name, "args": arguments}} if name else {"text": "Done, in the script's words."}
        return {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}]}

    @property
    def told(self) -> list[str]:
        """What the model was told by each call."""
        parts = [part for content in self.requests[-1]["contents"] for part in content["parts"]]
        return [json.dumps(part["functionResponse"]["response"]) for part in parts if "functionResponse" in part]


@pytest.fixture
def gemini(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gemini]:
    gemini = Gemini()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps(gemini.answer(json.loads(self.rfile.read(int(self.headers["content-length"])))))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("GEMINI_API_KEY", "test-key")
        yield gemini
        server.shutdown()


@pytest.fixture
def running(sandbox: Sandbox) -> str:
    return sandbox.account.add(requests=5000, age=600, status="in_progress")


def run(gemini: Gemini, *calls: tuple[str, dict[str, Any]], typed: str = "y\n" * 9) -> list[str]:
    """Let the model make these calls, and a person type this; returns what the model is told."""
    gemini.calls = list(calls)
    program = [sys.executable, str(ROOT / "examples" / "google_genai_agent.py"), "Please."]
    done = subprocess.run(
        program, input=typed, capture_output=True, text=True, timeout=180, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done, in the script's words." in done.stdout
    return gemini.told


def test_the_batch_the_model_names_is_canceled_once_and_an_unknown_id_is_reported(
    gemini: Gemini, sandbox: Sandbox, running: str
) -> None:
    calls = [(CANCEL.name, {"message_batch_id": each}) for each in (running, "msgbatch_x")]
    accepted, unknown, looked = run(gemini, *calls, (GET.name, {"message_batch_id": running}))
    assert "accepted but not immediate" in accepted
    assert "There is no message batch msgbatch_x" in unknown
    assert "is canceling" in looked
    assert cancels(sandbox) == [running, "msgbatch_x"]


def test_without_the_persons_yes_nothing_is_sent(gemini: Gemini, sandbox: Sandbox, running: str) -> None:
    (told,) = run(gemini, (CANCEL.name, {"message_batch_id": running}), typed="n\n")
    assert "the person said no" in told
    assert cancels(sandbox) == []


@pytest.mark.parametrize("given", [{"status": "in_progress", "limit": 5}, {"status": None, "limit": None}], ids=str)
def test_a_listing_takes_a_status_a_limit_and_null(gemini: Gemini, running: str, given: dict[str, Any]) -> None:
    (listed,) = run(gemini, (LIST.name, given))
    assert running in listed


def test_without_a_usable_id_nothing_is_sent_and_the_model_is_told_which_argument_is_wrong(
    gemini: Gemini, sandbox: Sandbox
) -> None:
    wrong: list[dict[str, Any]] = [{}, {"message_batch_id": None}, {"message_batch_id": ["msgbatch_x"]}]
    for told in run(gemini, *((CANCEL.name, given) for given in wrong)):
        assert "message_batch_id" in told
    assert cancels(sandbox) == []


def test_after_a_broken_connection_the_model_is_told_that_the_cancel_may_have_been_sent(
    gemini: Gemini, sandbox: Sandbox, running: str
) -> None:
    sandbox.fail(Fault(match="cancel", drop=True, after=True, times=0))
    (told,) = run(gemini, (CANCEL.name, {"message_batch_id": running}))
    assert f"It is not known whether the cancellation of {running} was accepted; it may have been." in told


def test_the_model_is_given_our_words_the_types_and_the_id_as_required(gemini: Gemini) -> None:
    run(gemini)
    (tools,) = gemini.requests[0]["tools"]
    given = {each["name"]: each for each in tools["functionDeclarations"]}
    for tool in (CANCEL, LIST, GET):
        words = " ".join(given[tool.name]["description"].split())
        assert tool.description in words
        parameters = given[tool.name]["parameters_json_schema"]
        assert parameters.get("required", []) == tool.input_schema.get("required", [])
        for name, part in tool.input_schema["properties"].items():
            assert f"{name}: {part['description']}" in words
            types = [
                each["type"] for each in parameters["properties"][name].get("anyOf", [parameters["properties"][name]])
            ]
            assert types[0] == part["type"]
