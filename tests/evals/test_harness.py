"""The eval harness can tell right from wrong; what a real model does is measured by `make evals`."""

import json
import re
import runpy
from pathlib import Path

import pytest

from cancel_message_batch import MessageBatches
from cancel_message_batch.sandbox import Account, Sandbox
from tests.conftest import ROOT
from tests.scripted import Raw, serving

from . import harness
from .harness import KEY, WAYS, Case, Setting, load, run

ACCOUNTS, CASES = load()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_scripted_stand_in_gets_every_case_right_that_it_understands(way: object) -> None:
    wrong = {}
    for case in CASES:
        if case.scripted and not _needs_approval(case, way):
            verdict = run(case, ACCOUNTS, way)  # type: ignore[arg-type]
            if not verdict.passed:
                wrong[case.id] = (verdict.missed, verdict.wrong, verdict.answer)
    assert wrong == {}


def _needs_approval(case: Case, way: object) -> bool:
    """Only the product's own loop can hold the stand-in back: it does not ask by itself."""
    return way is not WAYS["agent loop"] and ("newest" in case.id or "declined" in case.id)


def test_a_model_that_cancels_everything_fails_every_case_where_that_is_wrong() -> None:
    def reckless(setting: Setting, _: list[str]) -> str:
        with MessageBatches(api_key=KEY, base_url=setting.sandbox.url) as batches:
            for batch in batches.list():
                if batch.processing_status == "in_progress":
                    batches.cancel(batch.id)
        return "Done!"

    everything = {"all of them", "the only one", "no more than it", "none running", "nothing costs money"}
    for case in CASES:
        assert run(case, ACCOUNTS, reckless).passed == (case.id in everything), case.id


def test_a_model_that_does_nothing_fails_every_case_that_asks_it_to_act() -> None:
    for case in CASES:
        verdict = run(case, ACCOUNTS, lambda _, __: "I cannot do that.")
        assert verdict.passed == (case.kind != "must act"), case.id


def test_there_are_enough_cases_of_each_kind() -> None:
    assert len(CASES) >= 30
    assert len({case.id for case in CASES}) == len(CASES)
    kinds = [case.kind for case in CASES]
    assert min(kinds.count("must act"), kinds.count("must not act")) >= 12


def evaluate(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["harness", *arguments])
    return harness.main()


def test_the_suite_runs_with_the_model_of_any_server_and_needs_no_anthropic_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANTHROPIC_MODEL_KEY", "key-of-the-model")
    with Sandbox() as elsewhere:  # its stand-in is the model; the batches are in another sandbox for each case
        code = evaluate(monkeypatch, "--model-url", elsewhere.url, "--model", "scripted", "--case", "by id")
        assert {entry.path for entry in elsewhere.journal} == {"/v1/messages"}
        assert {entry.headers["authorization"] for entry in elsewhere.journal} == {"Bearer …odel"}
    printed = capsys.readouterr().out
    assert code == 0, printed
    for way in WAYS:
        assert f"{way}, scripted at {elsewhere.url}/v1\n  must act      1 of 1 right" in printed


def test_a_model_that_does_not_answer_is_no_model_that_did_right(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving() as model:
        model.replies = [Raw(b"{}", status=400)] * len(WAYS)
        assert evaluate(monkeypatch, "--model-url", model.url, "--model", "x", "--case", "unrelated") == 1
    printed = capsys.readouterr().out
    assert printed.count("must not act  0 of 1 right") == printed.count("no answer     1") == len(WAYS)


def test_without_a_key_or_a_model_nothing_is_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(monkeypatch) == 0
    assert "Skipped" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        evaluate(monkeypatch, "--model-url", "http://127.0.0.1:1")
    assert "--model or ANTHROPIC_MODEL" in capsys.readouterr().err


def test_the_evals_of_skill_tools_are_the_cases_of_the_suite_and_their_accounts_hold_the_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    files = runpy.run_path("release/skill_evals.py")["skill_evals"]()
    written = {
        path.relative_to(ROOT).as_posix(): json.loads(path.read_text("utf-8"))
        for path in Path(ROOT, "evals").rglob("*.json")
    }
    assert written == files, "`make skill-evals` writes them anew"
    evals = files["evals/evals.json"]["evals"]
    assert len(evals) >= 30
    for one in evals:
        (account,) = one["files"]
        known = {batch.id for batch in Account.from_json(json.dumps(files[account])).batches()}
        ordered = set(re.findall(r"batches/(\S+)/cancel", " ".join(one["expectations"])))
        assert ordered <= known
        assert ordered <= set(re.findall(r"msgbatch_01[0-9a-f]{22}", one["prompt"])) <= known
