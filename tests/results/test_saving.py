"""Saving results: every request is accounted for, and nothing half looks whole."""

import json
import os
import stat
from pathlib import Path

import pytest

from cancel_message_batch import MessageBatches
from cancel_message_batch.api.errors import APIConnectionError
from cancel_message_batch.results.folder import SaveError
from cancel_message_batch.results.saving import RETRY, save
from cancel_message_batch.sandbox import Fault, Sandbox

from .strange_results import COUNTS, MIXED, NAME, contents, failed, ids, line, request, run, serve, written

pytestmark = pytest.mark.usefixtures("system")


def test_the_bytes_of_the_api_are_kept_and_only_the_owner_may_read_them(
    sandbox: Sandbox, batches: MessageBatches, out: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    saved = run(batches, out)
    assert saved.state == "saved"
    assert (out / NAME / "results.jsonl").read_bytes() == b"".join(one + b"\n" for one in MIXED)
    assert json.loads((out / NAME / "batch.json").read_bytes())["id"] == NAME
    assert json.loads((out / NAME / "summary.json").read_bytes()) == saved.summary
    if os.name == "posix":
        assert {stat.S_IMODE(path.stat().st_mode) for path in (out / NAME).iterdir()} == {0o600}
        assert {stat.S_IMODE(path.stat().st_mode) for path in (out, out / NAME)} == {0o700}


@pytest.mark.skipif(os.name != "posix", reason="needs the modes of POSIX")
def test_a_batchs_directory_that_others_could_read_is_closed_to_them(
    sandbox: Sandbox, batches: MessageBatches, out: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    (out / NAME).mkdir(parents=True)
    for path in (out, out / NAME):
        path.chmod(0o755)
    run(batches, out)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (out, out / NAME)] == [0o755, 0o700]  # the other is theirs


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


def test_a_repeated_request_is_taken_once_and_counted(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, [line("a", "canceled")], {"canceled": 1})
    saved = run(batches, out, written(tmp_path / "r.jsonl", [request("a"), request("a", n=2)]))
    assert saved.summary
    assert saved.summary["requests_file"]["repeated"] == 1
    assert saved.summary["requests_file"]["repeated_custom_ids"] == ["a"]
    assert (out / NAME / "resubmit.jsonl").read_bytes() == request("a") + b"\n"


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


@pytest.mark.parametrize(
    ("lines", "counts"), [(MIXED[:4], COUNTS), (MIXED, {**COUNTS, "succeeded": 2, "errored": 2})], ids=["sum", "types"]
)
def test_counts_that_differ_leave_no_final_name(
    sandbox: Sandbox, batches: MessageBatches, out: Path, lines: list[bytes], counts: dict[str, int]
) -> None:
    serve(sandbox, lines, counts)
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


def test_a_run_without_options_keeps_those_of_an_earlier_run(
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
    assert run(batches, out, split=True).state == "saved"  # without the file, its checksum is passed on
    edited = out / NAME / "resubmit.jsonl"
    edited.write_bytes(b"mine\n")
    again = run(batches, out)
    assert (again.state, again.edited) == ("all_there", True)
    with pytest.raises(SaveError, match="was edited, and is not overwritten"):
        run(batches, out, requests, retry=["canceled"])
    assert edited.read_bytes() == b"mine\n"


def test_states_in_which_there_is_nothing_to_save(sandbox: Sandbox, batches: MessageBatches, out: Path) -> None:
    running = sandbox.account.add(100, 60)
    archived = sandbox.account.add(100, status="archived")
    assert save(batches, running, out).state == "not_ended"
    assert save(batches, archived, out).state == "archived"
    assert not out.exists()


def test_the_default_is_what_the_help_says() -> None:
    assert RETRY == ("canceled", "expired", "errored")
