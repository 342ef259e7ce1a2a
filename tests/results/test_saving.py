"""Saving results: every request is accounted for, and nothing half looks whole."""

import gzip
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cancel_message_batch import MessageBatches
from cancel_message_batch.api.errors import APIConnectionError, InvalidInputError
from cancel_message_batch.results.failing import fails_again
from cancel_message_batch.results.folder import Folder, SaveError
from cancel_message_batch.results.prices import cost
from cancel_message_batch.results.requests_file import RequestsFile
from cancel_message_batch.results.saving import RETRY, Options, Saved, save
from cancel_message_batch.sandbox import Fault, Sandbox

from .strange_results import NAME, failed, line, serve

BALANCE = "Your credit balance is too low to access the Anthropic API."
TOO_LONG = "prompt is too long: 208656 tokens > 200000 maximum"
MIXED = [
    line("good"),
    line("stopped", "canceled"),
    line("late", "expired"),
    failed("poor", "invalid_request_error", BALANCE),
    failed("wrong", "invalid_request_error", TOO_LONG),
    failed("busy", "overloaded_error", "Overloaded"),
]
COUNTS = {"succeeded": 1, "errored": 3, "canceled": 1, "expired": 1}


def request(custom_id: str, **others: Any) -> bytes:
    return json.dumps({"custom_id": custom_id, "params": {"model": "claude-sonnet-5-5"}, **others}).encode()


def written(path: Path, lines: Sequence[bytes]) -> RequestsFile:
    path.write_bytes(b"".join(one + b"\n" for one in lines))
    return RequestsFile(path)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def run(batches: MessageBatches, out: Path, requests: RequestsFile | None = None, **options: Any) -> Saved:
    return save(batches, NAME, out, Options(requests=requests, **options))


def ids(path: Path) -> list[str]:
    return [json.loads(one)["custom_id"] for one in path.read_bytes().splitlines()]


def test_the_bytes_of_the_api_are_kept_and_only_the_owner_may_read_them(
    sandbox: Sandbox, batches: MessageBatches, out: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    saved = run(batches, out)
    assert saved.state == "saved"
    assert (out / NAME / "results.jsonl").read_bytes() == b"".join(one + b"\n" for one in MIXED)
    assert json.loads((out / NAME / "batch.json").read_bytes())["id"] == NAME
    assert json.loads((out / NAME / "summary.json").read_bytes()) == saved.summary
    assert {stat.S_IMODE(path.stat().st_mode) for path in (out / NAME).iterdir()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (out, out / NAME)} == {0o700}


def test_without_requests_the_ids_to_send_again_are_listed(
    sandbox: Sandbox, batches: MessageBatches, out: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    run(batches, out)
    assert (out / NAME / "resubmit_ids.txt").read_text().split() == ["stopped", "late", "poor", "busy"]
    assert ids(out / NAME / "invalid.jsonl") == ["wrong"]


def test_resubmit_holds_the_requests_byte_for_byte(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    odd = b'{ "custom_id":"stopped",  "params": {"n": 1.50, "t": "\\u00e9"} }'
    requests = written(tmp_path / "r.jsonl", [*(request(name) for name in ("good", "busy", "wrong", "poor")), odd])
    saved = run(batches, out, requests)
    assert saved.summary
    assert (out / NAME / "resubmit.jsonl").read_bytes() == request("busy") + b"\n" + request(
        "poor"
    ) + b"\n" + odd + b"\n"
    assert saved.summary["to_resubmit"] == 3
    assert saved.summary["requests_file"]["to_resubmit_without_request"] == 1
    assert (out / NAME / "resubmit_ids.txt").read_text() == "late\n"


def test_retry_all_takes_every_request_that_has_a_result(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    names = ["good", "stopped", "late", "poor", "wrong", "busy"]
    run(batches, out, written(tmp_path / "r.jsonl", [request(name) for name in names]), retry=["all"])
    assert ids(out / NAME / "resubmit.jsonl") == names
    assert not (out / NAME / "invalid.jsonl").exists()


def test_requests_without_a_result_stand_apart(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, [line("a", "canceled")], {"canceled": 1})
    saved = run(batches, out, written(tmp_path / "r.jsonl", [request("a"), request("elsewhere")]))
    assert saved.summary
    assert saved.summary["requests_file"]["unanswered"] == 1
    assert ids(out / NAME / "resubmit.jsonl") == ["a"]
    assert ids(out / NAME / "unanswered.jsonl") == ["elsewhere"]


def test_the_wrong_requests_file_gives_no_resubmit(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, [line("a", "canceled")], {"canceled": 1})
    saved = run(batches, out, written(tmp_path / "r.jsonl", [request("x"), request("y")]))
    assert saved.summary
    assert saved.summary["requests_file"]["is_of_another_batch"]
    assert sorted(os.listdir(out / NAME)) == [
        ".lock",
        "batch.json",
        "resubmit_ids.txt",
        "results.jsonl",
        "summary.json",
    ]


ONE, TWO = {"custom_id": "a", "params": {"n": 1.50}}, {"custom_id": "b", "params": {"t": "é\n"}}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([ONE, TWO]),
        json.dumps({"requests": [ONE, TWO]}, indent=2),
        json.dumps([ONE, TWO], indent=4, ensure_ascii=False),
        json.dumps(ONE, indent=1) + "\n" + json.dumps(TWO, indent=1),
        json.dumps(ONE) + "\n\n" + json.dumps(TWO),
        json.dumps(ONE) + "\r\n" + json.dumps(TWO) + "\r\n",
        "\ufeff" + json.dumps(ONE) + "\n" + json.dumps(TWO) + "\n",
        "\ufeff" + json.dumps([ONE, TWO]),
    ],
    ids=["list", "body", "indented list", "indented values", "lines", "CRLF", "BOM", "list with BOM"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_every_form_of_a_requests_file_gives_the_same_requests(tmp_path: Path, text: str, packed: bool) -> None:
    path = tmp_path / "requests"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    requests = RequestsFile(path)
    assert [json.loads(one) for one in requests] == [ONE, TWO]
    assert all(one.index(b"\n") == len(one) - 1 for one in requests)
    assert len(requests.order) == 2


def test_a_long_list_is_read_in_pieces(tmp_path: Path) -> None:
    many = [{"custom_id": f"r-{n}", "params": {"text": "x" * (n % 7) * 10_000}} for n in range(200)]
    (tmp_path / "requests").write_text(json.dumps({"requests": many}))
    assert [json.loads(one) for one in RequestsFile(tmp_path / "requests")] == many


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "holds no requests"),
        (b"[]", "holds no requests"),
        (b"custom_id,params\na,b\n", "request 1 of .* is not JSON"),
        (b'{"custom_id": "a"}\n{"custom_id": \n', "request 2 of .* is not JSON"),
        (b'{"params": {}}\n', "request 1 of .* has no custom_id"),
        (b'{"custom_id": 7}\n', "request 1 of .* has no custom_id"),
        (b'[{"custom_id": "a"}, {"custom_id": ', "not JSON after its request 1"),
        (b'{"requests": [{"custom_id": "a"}', "not JSON after its request 1"),
        (b"[\xff\xfe]", "not UTF-8"),
        (gzip.compress(b'{"custom_id": "a"}\n' * 5000)[:-12], "cut short"),
        (b"\x1f\x8bnot gzip", "cut short, or is not gzip"),
    ],
)
def test_what_is_not_a_requests_file_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "requests").write_bytes(content)
    with pytest.raises(InvalidInputError, match=told):
        RequestsFile(tmp_path / "requests")


def test_a_requests_file_that_is_missing_or_not_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot be read: No such file"):
        RequestsFile(tmp_path / "missing")
    with pytest.raises(InvalidInputError, match="not a regular file"):
        RequestsFile(tmp_path)


def test_a_repeated_request_is_taken_once_and_counted(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, [line("a", "canceled")], {"canceled": 1})
    saved = run(batches, out, written(tmp_path / "r.jsonl", [request("a"), request("a", n=2)]))
    assert saved.summary
    assert saved.summary["requests_file"]["repeated"] == 1
    assert (out / NAME / "resubmit.jsonl").read_bytes() == request("a") + b"\n"


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
    told = saved.summary
    assert told["counts"] == {"succeeded": 1, "errored": 0, "canceled": 6, "expired": 0}
    assert told["unknown_types"] == {"postponed": 1}
    assert (told["unreadable_lines"], told["lines_without_custom_id"]) == (2, 1)
    assert told["repeated_custom_ids"] == 1
    assert (out / NAME / "results.jsonl").read_bytes() == b"".join(one + b"\n" for one in lines)


def test_a_request_that_succeeded_once_is_not_sent_again(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, [line("twice", "canceled"), line("twice")], {"canceled": 1, "succeeded": 1})
    run(batches, out, written(tmp_path / "r.jsonl", [request("twice")]))
    assert (out / NAME / "resubmit.jsonl").read_bytes() == b""


def test_without_requests_a_request_that_succeeded_once_is_not_listed(
    sandbox: Sandbox, batches: MessageBatches, out: Path
) -> None:
    lines = [line("twice", "canceled"), line("twice"), line("late", "expired"), line("late", "expired")]
    serve(sandbox, lines, {"canceled": 1, "succeeded": 1, "expired": 2})
    saved = run(batches, out)
    assert saved.summary
    assert (out / NAME / "resubmit_ids.txt").read_text() == "late\n"
    assert saved.summary["to_resubmit"] == 1


@pytest.mark.parametrize("name", ['say "hi"', "../../x", "\x1b]0;x", "\u202eevil", "new\nline"])
def test_a_custom_id_never_becomes_a_path_or_a_second_line(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path, name: str
) -> None:
    serve(sandbox, [line(name, "canceled"), failed(name + "2", "api_error", "x")], {"canceled": 1, "errored": 1})
    before = set(tmp_path.iterdir())
    saved = run(batches, out, split=True)
    assert set(tmp_path.iterdir()) - before == {out}
    assert len((out / NAME / "resubmit_ids.txt").read_text().splitlines()) == 2
    assert saved.summary
    assert saved.summary["errors"][0]["example"].isprintable()


def test_counts_that_differ_leave_no_final_name(sandbox: Sandbox, batches: MessageBatches, out: Path) -> None:
    serve(sandbox, MIXED[:4], COUNTS)
    with pytest.raises(SaveError, match="do not match its counts"):
        run(batches, out)
    assert sorted(os.listdir(out / NAME)) == [".lock", "results.jsonl.part"]


def test_results_that_end_in_the_middle_of_a_line_are_fetched_again(
    sandbox: Sandbox, batches: MessageBatches, out: Path
) -> None:
    sandbox.fail(Fault(match=f"GET */{NAME}/results", body=b"\n".join(MIXED)[:-5]))
    serve(sandbox, b"\n".join(MIXED), COUNTS)
    run(batches, out)
    assert (out / NAME / "results.jsonl").read_bytes() == b"\n".join(MIXED)


def test_results_that_always_end_in_the_middle_of_a_line_are_an_error(
    sandbox: Sandbox, batches: MessageBatches, out: Path
) -> None:
    serve(sandbox, b"\n".join(MIXED)[:-5], COUNTS)
    with pytest.raises(APIConnectionError, match="middle of a line"):
        run(batches, out)
    assert os.listdir(out / NAME) == [".lock"]


def test_a_last_line_that_never_was_a_result_is_kept(sandbox: Sandbox, batches: MessageBatches, out: Path) -> None:
    serve(sandbox, line("a") + b"\nnot json", {"succeeded": 1, "errored": 1})
    saved = run(batches, out)
    assert saved.summary
    assert saved.summary["unreadable_lines"] == 1
    assert (out / NAME / "results.jsonl").read_bytes() == line("a") + b"\nnot json"


def test_after_a_failure_the_same_command_finishes(sandbox: Sandbox, batches: MessageBatches, out: Path) -> None:
    sandbox.fail(Fault(match=f"GET */{NAME}/results", times=3, cut=50, body=b"x" * 100))
    serve(sandbox, MIXED, COUNTS)
    with pytest.raises(Exception, match="broke"):
        run(batches, out)
    assert os.listdir(out / NAME) == [".lock"]
    assert run(batches, out).state == "saved"


def test_what_is_there_already_is_not_downloaded_again(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    first = run(batches, out)
    requests = len(sandbox.journal)
    second = run(batches, out)
    assert (second.state, second.summary) == ("all_there", first.summary)
    assert len(sandbox.journal) == requests
    # Other options are applied to the results that are there.
    third = run(batches, out, written(tmp_path / "r.jsonl", [request("stopped")]), split=True)
    assert third.state == "saved"
    assert ids(out / NAME / "resubmit.jsonl") == ["stopped"]
    assert [each.path for each in sandbox.journal[requests:]] == [f"/v1/messages/batches/{NAME}"]


def test_a_run_without_options_keeps_what_an_earlier_one_was_told(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    first = run(batches, out, written(tmp_path / "r.jsonl", [request("stopped"), request("x")]), retry=["all"])
    before = contents(out)
    second = run(batches, out)
    assert (second.state, second.summary) == ("all_there", first.summary)
    assert contents(out) == before


def test_damaged_results_are_downloaded_again(sandbox: Sandbox, batches: MessageBatches, out: Path) -> None:
    serve(sandbox, MIXED, COUNTS)
    run(batches, out)
    whole = (out / NAME / "results.jsonl").read_bytes()
    (out / NAME / "results.jsonl").write_bytes(whole[:-1])
    assert run(batches, out).state == "saved"
    assert (out / NAME / "results.jsonl").read_bytes() == whole


def test_an_edited_resubmit_file_is_never_overwritten(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    requests = written(tmp_path / "r.jsonl", [request("stopped"), request("poor")])
    run(batches, out, requests)
    edited = out / NAME / "resubmit.jsonl"
    edited.write_bytes(b"mine\n")
    again = run(batches, out, requests)
    assert (again.state, again.edited) == ("all_there", True)
    with pytest.raises(SaveError, match="was edited, and is not overwritten"):
        run(batches, out, requests, retry=["canceled"])
    assert edited.read_bytes() == b"mine\n"


def test_two_runs_at_once_do_not_mix(sandbox: Sandbox, batches: MessageBatches, out: Path) -> None:
    serve(sandbox, MIXED, COUNTS)
    with Folder(out, NAME), pytest.raises(SaveError, match="Another run is saving"):
        run(batches, out)
    assert run(batches, out).state == "saved"


def test_links_in_the_way_are_not_followed(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    target = tmp_path / "target"
    target.write_text("precious")
    (out / NAME).mkdir(parents=True)
    for name in ("results.jsonl", "results.jsonl.part", "summary.json"):
        (out / NAME / name).symlink_to(target)
    run(batches, out)
    assert target.read_text() == "precious"
    assert not (out / NAME / "results.jsonl").is_symlink()


@pytest.mark.parametrize("where", ["out", f"out/{NAME}"])
def test_a_directory_that_is_a_link_is_refused(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path, where: str
) -> None:
    serve(sandbox, MIXED, COUNTS)
    (tmp_path / "target").mkdir()
    link = tmp_path / where
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "target")
    with pytest.raises(SaveError, match="cannot be used"):
        run(batches, out)
    assert not list((tmp_path / "target").iterdir())


def test_a_lock_that_is_a_link_is_not_followed(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    (out / NAME).mkdir(parents=True)
    (out / NAME / ".lock").symlink_to(tmp_path / "target")
    with pytest.raises(SaveError, match="cannot be used"):
        run(batches, out)
    assert not (tmp_path / "target").exists()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    sandbox: Sandbox, batches: MessageBatches, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(sandbox, MIXED, COUNTS)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveError, match=r"could not be saved to .*: No space left on device"):
        run(batches, out)
    assert os.listdir(out / NAME) == [".lock"]


KILLED = """
import os, signal, sys
real, left = os.rename, int(sys.argv.pop(1))
def rename(*arguments, **options):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments, **options)
os.rename = rename
from cancel_message_batch.cli import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("renamed", [0, 1, 2, 3, 4])
def test_a_kill_amid_the_renames_leaves_nothing_that_looks_complete(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path, renamed: int
) -> None:
    serve(sandbox, MIXED, COUNTS)
    requests = written(tmp_path / "r.jsonl", [request("stopped"), request("poor")])
    run(batches, tmp_path / "undisturbed", requests)
    command = [sys.executable, "-c", KILLED, str(renamed), "results", NAME, "--out", str(out)]
    done = subprocess.run([*command, "--requests", str(requests.path)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (out / NAME / "summary.json").exists()
    assert run(batches, out, requests).state == "saved"
    assert contents(out) == contents(tmp_path / "undisturbed")


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / NAME).iterdir()}


def test_unfinished_answers_errors_and_tokens_are_told(sandbox: Sandbox, batches: MessageBatches, out: Path) -> None:
    cut = json.loads(line("cut"))
    cut["result"]["message"]["stop_reason"] = "max_tokens"
    cut["result"]["message"]["usage"] |= {"cache_creation_input_tokens": 4, "cache_read_input_tokens": 20}
    lines = [json.dumps(cut).encode(), line("a"), *(failed(f"e{n}", "api_error", f"Fault {n}") for n in range(5))]
    serve(sandbox, lines, {"succeeded": 2, "errored": 5})
    told = run(batches, out).summary
    assert told
    assert told["unfinished"] == {"max_tokens": {"count": 1, "example": "cut"}}
    assert [(group["type"], group["count"], group["example"]) for group in told["errors"]] == [("api_error", 5, "e0")]
    used = told["tokens"]["claude-sonnet-5-5"]
    assert [used[name] for name in ("input", "output", "cache_write", "cache_read")] == [20, 10, 4, 20]
    assert told["estimate"]["usd"] == used["estimated_usd"] == pytest.approx((20 + 5 + 1 + 50) / 1e6)


def test_an_unknown_model_has_no_price() -> None:
    tokens = {"input": 1, "output": 1, "cache_write": 0, "cache_write_1h": 0, "cache_read": 0}
    assert cost("claude-unheard-of-9", tokens) is None
    assert cost("claude-sonnet-4-20250514", tokens) == pytest.approx(9e-6)


@pytest.mark.parametrize(
    ("kind", "message", "certain"),
    [
        ("invalid_request_error", BALANCE, False),
        ("invalid_request_error", "something new", False),
        ("invalid_request_error", TOO_LONG, True),
        ("invalid_request_error", "messages.0.content: Field required", True),
        ("invalid_request_error", "messages.65.content.1.tool_use.text: Extra inputs are not permitted", True),
        ("invalid_request_error", "messages.61.content.0.tool_use.input: Input should be a valid dictionary", True),
        ("invalid_request_error", "max_tokens: 9 > 8, which is the maximum allowed number of output tokens", True),
        ("invalid_request_error", "messages: at least one message is required", True),
        ("invalid_request_error", "the messages should be read: Field required", False),
        ("invalid_request_error", "messages: text content blocks must be non-empty", True),
        ("request_too_large", "", True),
        *(
            (kind, TOO_LONG, False)
            for kind in ("rate_limit_error", "overloaded_error", "billing_error", "permission_error", "not_found_error")
        ),
        *((kind, "x", False) for kind in ("timeout_error", "api_error", "brand_new_error")),
        (None, None, False),
    ],
)
def test_what_certainly_fails_again(kind: str | None, message: str | None, certain: bool) -> None:
    assert fails_again(kind, message) is certain


def test_states_in_which_there_is_nothing_to_save(sandbox: Sandbox, batches: MessageBatches, out: Path) -> None:
    running = sandbox.account.add(100, 60)
    archived = sandbox.account.add(100, status="archived")
    assert save(batches, running, out).state == "not_ended"
    assert save(batches, archived, out).state == "archived"
    assert not out.exists()


def test_the_default_is_what_the_help_says() -> None:
    assert RETRY == ("canceled", "expired", "errored")
