"""Models that end are named before a request is sent to them again."""

import json
from pathlib import Path

import pytest

from cancel_message_batch.results.end_of_life import ends_of_life
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import Run

from .strange_results import NAME, line, serve


def test_the_days_are_those_of_the_installed_sdk() -> None:
    messages = pytest.importorskip("anthropic.resources.messages.messages")
    assert messages.DEPRECATED_MODELS.items() <= ends_of_life().items()


def test_requests_to_a_model_that_ends_are_reported_before_they_are_sent(
    sandbox: Sandbox, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, day = next(iter(ends_of_life().items()))
    made = {
        "done": {"model": model},
        "left": {"model": model},
        "fresh": {"model": "claude-opus-9"},
        "odd": {"model": 7},
    }
    requests = [json.dumps({"custom_id": name, "params": params}) for name, params in made.items()]
    (tmp_path / "r.jsonl").write_text("\n".join(requests))
    serve(
        sandbox, [line("done"), *(line(name, "canceled") for name in list(made)[1:])], {"succeeded": 1, "canceled": 3}
    )
    done = run("results", NAME, "--requests", "r.jsonl")
    warning = f"1 request is for {model}, a deprecated model (end of life: {day})."
    assert done.stdout.index(warning) < done.stdout.index("client.messages.batches.create")
    summary = json.loads((tmp_path / "message-batches" / NAME / "summary.json").read_bytes())
    assert summary["deprecated_models"] == {model: {"requests": 1, "end_of_life": day}}
    assert warning in run("results", NAME).stdout  # also when all is there
