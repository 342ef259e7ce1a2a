"""Which process created a batch, and whether that process is still there."""

import contextlib
import os
import sys
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process, in a form that can be written down.

    ``started`` tells it from a later process of the same pid: where it runs and when it began, as this machine says
    it. It is empty where that is not known.
    """

    host: str
    pid: int
    started: str
    program: str

    @classmethod
    def current(cls, program: str | None = None) -> "Process":
        """Return this process; its program is the name of the script that runs, unless another is given."""
        return cls.of(os.getpid(), program or Path(sys.argv[0] if sys.argv else "").name or "python")

    @classmethod
    def of(cls, pid: int, program: str) -> "Process":
        """Return the process with this pid."""
        start = _start(pid)
        return cls(_host(), pid, " ".join([*_place(), start]) if start else "", program)

    def is_gone(self) -> bool:
        """Return whether the process has surely ended. On another host, or where it cannot be known, it has not."""
        if self.host != _host() or not self.started or sys.platform == "win32":
            return False
        *place, start = self.started.split(" ")
        here = _place()
        if place != here:  # the same machine after another boot
            return len(place) == len(here) == 3 and place[0] == here[0] and place[1] != here[1]
        now = _start(self.pid)
        return not _exists(self.pid) or now == "ended" or now not in {"", start}


def _host() -> str:
    if sys.platform == "win32":
        import platform

        return platform.node()
    return os.uname().nodename


def _place() -> list[str]:
    """Return this machine, its boot and the namespace that pids are counted in; nothing where there is no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except (OSError, ValueError):
        return []
    machine = ""
    with contextlib.suppress(OSError, ValueError):
        machine = Path("/etc/machine-id").read_text("ascii").strip()
    return [machine, boot, namespace]


def _start(pid: int) -> str:
    """Return when a process began; empty when that cannot be known, "ended" when nobody has waited for its end."""
    if start := _from_proc(pid):
        return start
    if sys.platform == "win32":
        return ""
    import subprocess

    try:
        told = subprocess.run(  # noqa: S603 - nothing in it comes from outside
            ["/bin/ps", "-o", "lstart=", "-p", str(pid)],
            capture_output=True,
            check=False,
            env={"LC_ALL": "C", "TZ": "UTC"},
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return "-".join(told.stdout.decode("ascii", "replace").split())


def _from_proc(pid: int) -> str:
    try:
        # The program's name, in parentheses, may hold anything. Behind it: the state, and 19 fields on, the start.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return "ended" if fields[0] in {b"Z", b"X"} else fields[19].decode("ascii")
    except (OSError, IndexError):
        return ""


def _exists(pid: int) -> bool:
    """Return whether a process has this pid. Signal 0 is sent to nobody."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is another user's, or the record was edited
        pass
    return True
