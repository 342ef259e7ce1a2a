"""What a command finds in its environment under ``run``: where the relay is, and keys that only the relay can use."""

import contextlib
import os
import re
import secrets
import stat
import sys
import tempfile
from pathlib import Path

from cancel_message_batch.api.credentials import BEHIND, is_public, origin
from cancel_message_batch.api.errors import ConfigurationError, clean
from cancel_message_batch.record.names import record_fault

_KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
_HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
_VALUE = re.compile(r"((?:basic|bearer)\s+)?(.+)", re.IGNORECASE)


class StandIns:
    """Stand-ins for the environment's credentials: worth nothing to whoever listens at the relay's port after it.

    Attributes:
        real: The credential of each stand-in.
        variables: The variables of the environment, with the stand-ins in them.
    """

    def __init__(self) -> None:
        self.real: dict[str, str] = {}
        self.variables = {name: self._add(key) for name in _KEYS if (key := os.environ.get(name, "").strip())}
        if headers := os.environ.get(_HEADERS):
            self.variables[_HEADERS] = "\n".join(map(self._header, headers.splitlines()))

    def _header(self, line: str) -> str:
        """Return a line with a stand-in for its value, unless the header is known to hold no secret."""
        name, _, value = line.partition(":")
        if is_public(name.strip().lower()) or not (found := _VALUE.fullmatch(value.strip())):
            return line
        return f"{name}: {found[1] or ''}{self._add(found[2])}"

    def _add(self, credential: str) -> str:
        kind = re.match(r"sk-ant-\w+-", credential)  # programs tell keys from tokens by it
        stand_in = f"{kind[0] if kind else ''}{secrets.token_urlsafe(32)}"
        self.real[stand_in] = credential
        return stand_in


def environment(url: str, base_url: str, stand_ins: StandIns) -> dict[str, str]:
    """Return the environment in which a program talks to the API through the relay, and to the relay without a proxy.

    Our own commands in it, and ``guard``, learn from BEHIND which API they reach.
    """
    found = {
        **os.environ,
        **stand_ins.variables,
        "ANTHROPIC_BASE_URL": url,
        BEHIND: f"{origin(url)} {origin(base_url)}",
    }
    without = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if without != "*" and any(name.lower().endswith("_proxy") for name in os.environ):
        found |= dict.fromkeys(("no_proxy", "NO_PROXY"), f"{without},127.0.0.1".lstrip(","))
    return found


def lasting_token(record: Path | None) -> tuple[str, str]:
    """Return the token of this user's relays with a port of their own, which lies beside the record.

    Without one that can be kept, it is empty, and the second text says why. A file that others may have read or written
    is a ConfigurationError.
    """
    if record is None:
        return "", "The record is turned off, and the proxy's token is kept beside it."
    path = record.with_name("run-token")
    shown = clean(str(path), limit=400)
    try:
        if not os.path.lexists(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:  # for nobody else to read
                file.write(secrets.token_urlsafe(24))
                file.flush()
                with contextlib.suppress(FileExistsError):
                    os.link(file.name, path)
        found = path.lstat()
        open_to_others = sys.platform != "win32" and stat.S_ISREG(found.st_mode) and found.st_mode & 0o077
        fault = "others may read it or write to it" if open_to_others else record_fault(path)
        token = path.read_text("utf-8", "replace").strip() if not fault else ""
    except OSError as error:
        return "", f"{shown} cannot be used ({error.strerror})."
    if not (fault or re.fullmatch(r"[\w-]{16,}", token, re.ASCII)):
        fault = "it holds no token of `run`"
    if fault:
        raise ConfigurationError(
            f"{shown} cannot be used: {fault}. Remove it, and `run` makes a new one. Nothing was run."
        )
    return token, ""
