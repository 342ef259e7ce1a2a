"""The directory of a batch: private, locked, complete or not there, with POSIX directories and without."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cancel_message_batch import MessageBatches
from cancel_message_batch.results.folder import SaveError, open_folder
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import ROOT

from .strange_results import COUNTS, MIXED, NAME, contents, request, run, serve, written

only_posix = pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="needs directories and signals of POSIX")


@pytest.mark.usefixtures("system")
def test_two_runs_at_once_do_not_mix(sandbox: Sandbox, batches: MessageBatches, out: Path) -> None:
    serve(sandbox, MIXED, COUNTS)
    with open_folder(out, NAME), pytest.raises(SaveError, match="Another run is saving"):
        run(batches, out)
    assert run(batches, out).state == "saved"


@only_posix
def test_a_file_system_without_locks_is_not_said_to_be_another_run(
    sandbox: Sandbox, batches: MessageBatches, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(sandbox, MIXED, COUNTS)

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")  # as NFS says it

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", flock)
    with pytest.raises(SaveError, match=r"cannot be locked: No locks available\. Choose a directory on a file system"):
        run(batches, out)


@only_posix
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


@pytest.mark.usefixtures("system")
def test_an_out_that_is_a_link_to_a_directory_is_taken(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    (tmp_path / "scratch").mkdir()
    out.symlink_to(tmp_path / "scratch")
    assert run(batches, out).state == "saved"
    assert (tmp_path / "scratch" / NAME / "summary.json").exists()


@only_posix
def test_a_batchs_directory_that_is_a_link_is_refused(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    (tmp_path / "target").mkdir()
    out.mkdir()
    (out / NAME).symlink_to(tmp_path / "target")
    with pytest.raises(SaveError, match="cannot be used"):
        run(batches, out)
    assert not list((tmp_path / "target").iterdir())


@only_posix
def test_a_lock_that_is_a_link_is_not_followed(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    (out / NAME).mkdir(parents=True)
    (out / NAME / ".lock").symlink_to(tmp_path / "target")
    with pytest.raises(SaveError, match="cannot be used"):
        run(batches, out)
    assert not (tmp_path / "target").exists()


@pytest.mark.usefixtures("system")
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
if sys.argv.pop(1) == "no POSIX":
    from tests.results.without_posix import take_posix_away
    take_posix_away()
real, left = os.replace, int(sys.argv.pop(1))
def replace(*arguments, **options):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*arguments, **options)
os.replace = replace
from cancel_message_batch.cli import main
main(sys.argv[1:])
"""


def killed(system: str, renamed: int, out: Path, requests: Path, *options: str) -> None:
    """Save, and be killed when so many files have got their names."""
    command = [sys.executable, "-c", KILLED, system, str(renamed), "results", NAME, "--out", str(out)]
    command += ["--requests", str(requests), *options]
    assert subprocess.run(command, timeout=60, check=False, cwd=ROOT).returncode == -signal.SIGKILL


@only_posix
@pytest.mark.parametrize("renamed", [0, 1, 2, 3, 4, 5, 6])
def test_a_kill_amid_the_renames_leaves_nothing_that_looks_complete(
    sandbox: Sandbox, batches: MessageBatches, tmp_path: Path, renamed: int, system: str
) -> None:
    serve(sandbox, MIXED, COUNTS)
    lines = [request(name) for name in ("stopped", "poor", "elsewhere")]
    out, requests = tmp_path / "out", written(tmp_path / "r.jsonl", lines)
    run(batches, tmp_path / "undisturbed", requests)
    killed(system, renamed, out, requests.path)
    assert not (out / NAME / "summary.json").exists()
    assert run(batches, out, requests).state == "saved"
    assert contents(out) == contents(tmp_path / "undisturbed")


@only_posix
@pytest.mark.parametrize("renamed", [0, 3])
def test_a_kill_over_an_earlier_run_leaves_no_resubmit_file_that_seems_to_be_edited(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path, renamed: int
) -> None:
    serve(sandbox, MIXED, COUNTS)
    requests = written(tmp_path / "r.jsonl", [request("stopped"), request("poor")])
    run(batches, out, requests)
    killed("POSIX", renamed, out, requests.path, "--retry", "canceled")
    assert not (out / NAME / "summary.json").exists()
    assert run(batches, out, requests, retry=["canceled"]).state == "saved"


@only_posix
def test_what_a_person_wrote_after_a_kill_is_not_overwritten(
    sandbox: Sandbox, batches: MessageBatches, out: Path, tmp_path: Path
) -> None:
    serve(sandbox, MIXED, COUNTS)
    requests = written(tmp_path / "r.jsonl", [request("stopped"), request("poor")])
    killed("POSIX", 4, out, requests.path)
    (out / NAME / "resubmit.jsonl").write_bytes(b"mine\n")
    with pytest.raises(SaveError, match="was edited, and is not overwritten"):
        run(batches, out, requests)
    assert (out / NAME / "resubmit.jsonl").read_bytes() == b"mine\n"
