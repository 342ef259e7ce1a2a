"""A process is called gone only when it surely is."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cancel_message_batch.record import processes
from cancel_message_batch.record.processes import Process, is_ours_alone


def test_a_process_is_gone_once_it_has_ended_also_before_anybody_waited_for_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        known = Process.of(process.pid, "script")
        assert not known.is_gone()
        process.kill()
        assert process.stdout
        process.stdout.read()
        until(known.is_gone)  # nobody has waited for it yet
    assert known.is_gone()


def test_this_process_is_there_under_the_name_of_its_script() -> None:
    known = Process.current()
    assert not known.is_gone()
    assert known.program == Path(sys.argv[0]).name
    assert Process.current("train.py").program == "train.py"


def test_a_pid_that_is_used_again_is_not_the_process() -> None:
    known = Process.current()
    *place, start = known.started.split(" ")
    assert known._replace(started=" ".join([*place, f"1{start}"])).is_gone()


@pytest.mark.skipif(sys.platform != "linux", reason="boots are told apart on Linux")
def test_after_another_boot_of_this_very_machine_every_process_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Process.current()
    machine, boot, namespace, start = known.started.split(" ")

    def gone(noted: float | None, machine: str = machine) -> bool:
        return known._replace(started=f"{machine} another-boot {namespace} {start}").is_gone(noted)

    assert gone(1.0)
    assert not gone(1.0, "another-machine")
    assert not gone(None)  # in a file that another machine with this id may write
    assert not gone(time.time())  # while this machine was up already
    # As images are shipped whose machines have no id of their own yet.
    monkeypatch.setattr(processes, "_place", lambda: ["uninitialized", boot, namespace])
    assert not gone(1.0, "uninitialized")


@pytest.mark.skipif(sys.platform != "linux", reason="file systems are told apart on Linux")
def test_a_file_is_ours_alone_only_on_a_disk_that_no_other_machine_can_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not any(map(is_ours_alone, (Path("/proc/self/stat"), Path("/dev/shm"), tmp_path / "missing")))
    kind = subprocess.check_output(["stat", "--file-system", "--format=%T", tmp_path], text=True).strip()
    assert is_ours_alone(tmp_path) is (kind in {"btrfs", "ext2/ext3", "xfs", "zfs"})
    monkeypatch.setattr(processes, "_LOCAL", frozenset({"nothing"}))
    assert not is_ours_alone(tmp_path)


@pytest.mark.parametrize(
    "what", [{"host": "another"}, {"started": ""}, {"started": "noted in another way"}, {"started": "x"}]
)
def test_what_is_not_known_is_not_gone(what: dict[str, str]) -> None:
    assert not Process.current()._replace(**what, pid=2**22 + 1).is_gone()


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_where_there_is_no_proc_the_same_is_known(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    import psutil  # as the system it is for

    monkeypatch.setattr(processes, "sys", SimpleNamespace(platform=system, argv=["train.py"]))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        known = Process.of(process.pid, "script")
        assert known.started.split(" ")[0] == system
        assert not known.is_gone()
        assert known._replace(started=f"{system} 1000.0").is_gone()
        assert not known._replace(started="Mon-Jan-1-00:00:00-2001").is_gone()  # of an earlier release
        process.kill()
        until(known.is_gone)
    assert known.is_gone()
    monkeypatch.setattr(psutil.Process, "create_time", refused)
    assert not Process.current()._replace(started=f"{system} 1000.0").is_gone()


def refused(process: Any) -> None:
    import psutil

    raise psutil.AccessDenied(process.pid)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
