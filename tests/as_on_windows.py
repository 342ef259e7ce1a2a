"""A plugin of pytest, `-p tests.as_on_windows`: the tests run without what Windows does not have."""

import contextlib
import os
import signal
import sys
import time
import zoneinfo  # noqa: F401

# These choose the way of their system when they are imported: here they keep the one of this system.
import anyio._backends._asyncio  # noqa: F401
import filelock  # noqa: F401
import httpx2  # noqa: F401
import psutil  # noqa: F401
import uvicorn  # noqa: F401

with contextlib.suppress(ImportError):  # `make test-lowest` also runs without it
    import mcp.client.stdio
    import mcp.server.stdio  # noqa: F401

_MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")
_NAMES = {
    os: (
        "O_DIRECTORY",
        "O_NOFOLLOW",
        "O_NONBLOCK",
        "fchmod",
        "fork",
        "geteuid",
        "getuid",
        "killpg",
        "register_at_fork",
        "setsid",
        "uname",
    ),
    signal: ("SIGALRM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"),
    time: ("CLOCK_MONOTONIC", "clock_gettime", "tzset"),
}


def pytest_configure() -> None:
    """Take it away."""
    sys.modules |= dict.fromkeys(_MODULES)  # type: ignore[arg-type] # importing one is an ImportError now
    for module, names in _NAMES.items():
        for name in names:
            delattr(module, name)
    sys.platform = "win32"
