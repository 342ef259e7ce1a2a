"""Check what `run` does for a real client: its batch is canceled once when it dies, and left alone when it is done.

    python drive_run.py COMMAND... BASE_URL

COMMAND creates a batch, prints its id, and then waits or exits with a code, as its last argument says. BASE_URL is a
sandbox's.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.request


def check(command: list[str], base_url: str, then: str, number: int = 0) -> None:
    """Run the command, send `run` a signal once there is a batch, and look into the sandbox's journal."""
    environment = {**os.environ, "ANTHROPIC_BASE_URL": base_url, "ANTHROPIC_API_KEY": "test-key"}
    environment["CANCEL_MESSAGE_BATCH_RECORD"] = "off"
    run = [sys.executable, "-m", "cancel_message_batch", "run", "--", *command, then]
    with subprocess.Popen(
        run, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        batch = process.stdout.readline().strip()
        if number:
            process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    expected = 128 + number if number else int(then)
    assert process.returncode == expected, errors
    with urllib.request.urlopen(f"{base_url}/_sandbox/requests") as answer:
        cancels = [entry for entry in json.load(answer) if entry["path"].endswith(f"/{batch}/cancel")]
    assert len(cancels) == (expected != 0), errors
    assert (f"Canceling: {batch}" in errors) == (expected != 0), errors


if __name__ == "__main__":
    *words, url = sys.argv[1:]
    check(words, url, "0")
    check(words, url, "1")
    check(words, url, "wait", signal.SIGINT)
    check(words, url, "wait", signal.SIGTERM)
    with urllib.request.urlopen(f"{url}/_sandbox/requests") as journal:
        assert sum(entry["path"].endswith("/cancel") for entry in json.load(journal)) == 3
