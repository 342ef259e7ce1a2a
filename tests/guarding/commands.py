"""Commands under `run` that create batches: for tests of what they leave."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.conftest import PROGRAM

BODY = json.dumps({"requests": [{"custom_id": f"q-{n}", "params": {"model": "m"}} for n in range(3)]}).encode()
SCRIPT = """
import json, os, signal, sys, time, urllib.request
BODY = sys.stdin.buffer.read()
def call(path="/v1/messages/batches", body=BODY, **headers):
    headers = {"anthropic-version": "2023-06-01", "x-api-key": os.environ["ANTHROPIC_API_KEY"], **headers}
    headers["content-type"] = "application/json"
    request = urllib.request.Request(os.environ["ANTHROPIC_BASE_URL"] + path, body, headers, method="POST")
    with urllib.request.urlopen(request) as response:
        return json.load(response)
def create():
    print(call()["id"], flush=True)
exec(sys.argv[1])
"""


@contextmanager
def started(
    code: str, *flags: str, body: bytes = BODY, pass_fds: Sequence[int] = ()
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start `run` with a program that reads the body of its creates from standard input."""
    command = [*PROGRAM, "run", *flags, "--", sys.executable, "-c", SCRIPT, code]
    pipes = {"pass_fds": pass_fds, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, start_new_session=True) as process:  # type: ignore[call-overload]
        process.stdin.write(body)
        process.stdin.close()
        process.stdin = None
        try:
            yield process
        finally:
            process.kill()
