"""What is counted in the results."""

import json
from pathlib import Path

from cancel_message_batch import MessageBatches
from cancel_message_batch.sandbox import Sandbox

from .strange_results import NAME, failed, line, run, serve


def test_strange_lines_are_kept_and_counted(sandbox: Sandbox, batches: MessageBatches, out: Path) -> None:
    nested = b'{"custom_id": "deep", "result": {"type": "canceled", "x": ' + b"[" * 300 + b"]" * 300 + b"}}"
    half = b'{"custom_id": "half", "result": {"type": "canceled", "x": "\\ud83d"}}'
    lines = [
        b"not json",
        b'{"result": {"type": "canceled"}}',
        line("new", "postponed"),
        b'{"custom_id": "flat", "result": "canceled"}',
        nested,
        half,
        line("twice", "canceled"),
        line("twice"),
        line("long", "canceled", text="x" * 20_000_000),
        b"",
        line("end", "canceled") + b"\r",
    ]
    serve(sandbox, lines, {"canceled": 9, "succeeded": 1})
    saved = run(batches, out)
    assert saved.summary
    summary = saved.summary
    assert summary["counts"] == {"succeeded": 1, "errored": 0, "canceled": 6, "expired": 0}
    assert summary["unknown_types"] == {"postponed": 1}
    assert (summary["unreadable_lines"], summary["lines_without_custom_id"]) == (2, 1)
    assert summary["repeated_custom_ids"] == 1
    assert (out / NAME / "results.jsonl").read_bytes() == b"".join(one + b"\n" for one in lines)


def test_the_name_of_a_model_is_kept_as_a_line_of_80_characters(
    sandbox: Sandbox, batches: MessageBatches, out: Path
) -> None:
    named = json.loads(line("a"))
    named["result"]["message"]["model"] = f"claude\x1b[2J\n{'x' * 500}"
    serve(sandbox, [json.dumps(named).encode()], {"succeeded": 1})
    summary = run(batches, out).summary
    assert summary
    assert list(summary["tokens"]) == [f"claude [2J {'x' * 68}…"]


def test_unfinished_answers_errors_and_tokens_are_reported(
    sandbox: Sandbox, batches: MessageBatches, out: Path
) -> None:
    cut = json.loads(line("cut"))
    cut["result"]["message"]["stop_reason"] = "max_tokens"
    cut["result"]["message"]["usage"] |= {"cache_creation_input_tokens": 4, "cache_read_input_tokens": 20}
    lines = [json.dumps(cut).encode(), line("a"), *(failed(f"e{n}", "api_error", f"Fault {n}") for n in range(5))]
    serve(sandbox, lines, {"succeeded": 2, "errored": 5})
    summary = run(batches, out).summary
    assert summary
    assert summary["unfinished"] == {"max_tokens": {"count": 1, "example": "cut"}}
    assert [(group["type"], group["count"], group["example"]) for group in summary["errors"]] == [
        ("api_error", 5, "e0")
    ]
    used = summary["tokens"]["claude-sonnet-5-5"]
    assert [used[name] for name in ("input", "output", "cache_write", "cache_read")] == [20, 10, 4, 20]
