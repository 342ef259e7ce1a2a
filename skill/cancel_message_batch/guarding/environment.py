"""What a command finds in its environment under ``run``: where the relay is, and keys that only the relay can use."""

import contextlib
import os
import re
import secrets
import tempfile
from pathlib import Path

from cancel_message_batch.api.credentials import BEHIND, origin
from cancel_message_batch.api.errors import ConfigurationError, clean

_KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
_HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
_CREDENTIAL = re.compile(r"^(\s*(?:x-api-key|authorization)\s*:\s*(?:bearer\s+)?)(\S+)", re.IGNORECASE | re.MULTILINE)


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
            self.variables[_HEADERS] = _CREDENTIAL.sub(lambda found: found[1] + self._add(found[2]), headers)

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


def lasting_token(record: Path | None) -> str:
    """Return the token of this user's relays with a port of their own, which lies beside the record.

    It is empty if the record is turned off. An OSError says that it cannot be kept.
    """
    if record is None:
        return ""
    path = record.with_name("run-token")
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:  # for nobody else to read
            file.write(secrets.token_urlsafe(24))
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    token = path.read_text("utf-8", "replace").strip()
    if not re.fullmatch(r"[\w-]{16,}", token, re.ASCII):
        raise ConfigurationError(f"{clean(str(path), limit=400)} holds no token of `run`; remove it. Nothing was run.")
    return token
