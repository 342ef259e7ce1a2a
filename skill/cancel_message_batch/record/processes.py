"""Which process created a batch, and whether that process is still there."""

import contextlib
import os
import platform
import re
import sys
import time
from pathlib import Path
from typing import NamedTuple

_MACHINE = re.compile("[0-9a-f]{32}")  # an image may hold another text, such as "uninitialized"
_LOCAL = frozenset({"btrfs", "ext2", "ext3", "ext4", "xfs", "zfs"})  # only one machine can mount these at a time


class Process(NamedTuple):
    """A process, in a form that can be written down.

    ``started`` says where its pid was given, and when: a later process may have the same pid. It is empty where that
    is not known.
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
        place, start = _place(), _start(pid)
        return cls(platform.node(), pid, " ".join([*place, start]) if place and start else "", program)

    def is_gone(self, noted: float | None = None) -> bool:
        """Return whether the process has certainly ended. On another host, or when in doubt, it has not.

        ``noted`` is when the process was written down in a file that ``is_ours_alone``; None if the file is not. This
        tells an earlier boot of this machine from another machine with the same host name and machine id.
        """
        if not self.is_here():
            return False
        *place, start = self.started.split(" ")
        here = _place()
        if place != here:
            same_machine = len(place) == len(here) == 3 and place[0] == here[0] and _MACHINE.fullmatch(place[0])
            return bool(same_machine) and place[1] != here[1] and noted is not None and noted < _boot_time()
        return bool(here) and _start(self.pid) not in {"", start}

    def is_alive(self) -> bool:
        """Return whether the process is certainly still running."""
        *place, start = self.started.split(" ")
        return self.is_here() and bool(place) and place == _place() and _start(self.pid) == start

    def is_here(self) -> bool:
        """Return whether the process belongs to this host."""
        return self.host == platform.node()


def is_ours_alone(path: Path) -> bool:
    """Return whether a file is certainly on a disk that no other running machine writes to."""
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, ValueError, IndexError):
        path, kinds = path.resolve(strict=True), {}
        for line in Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines():
            mount, _, kind = line.partition(" - ")
            kinds[mount.split()[4].replace("\\040", " ")] = kind.split()[0]  # a later one hides those before it
        return next((kinds[place] for place in map(str, (path, *path.parents)) if place in kinds), "") in _LOCAL
    return False


def _boot_time() -> float:
    """Return when this machine was booted."""
    if sys.platform == "linux":
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return 0.0


def _place() -> list[str]:
    """Return what a pid belongs to. On Linux: the machine, its boot, and the namespace, such as a container's."""
    if sys.platform != "linux":
        return [sys.platform]
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
    """Return when a process began, "ended" if there is no such process, and nothing if that cannot be known."""
    if sys.platform == "linux":
        # Unlike psutil's, this time does not change when somebody sets the clock.
        try:
            with contextlib.suppress(PermissionError):  # it is another user's, and there
                os.kill(pid, 0)  # sends nothing
            # The program's name, in parentheses, may hold anything. After it: the state, and 19 fields on, the start.
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            return "ended" if fields[0] in {b"Z", b"X"} else fields[19].decode("ascii")
        except ProcessLookupError:
            return "ended"
        except (OSError, OverflowError, IndexError):
            return ""
    import psutil

    try:
        process = psutil.Process(pid)
        return "ended" if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.NoSuchProcess:
        return "ended"
    except (psutil.Error, OverflowError, ValueError):
        return ""
