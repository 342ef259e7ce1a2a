"""`sandbox`: the server in the foreground."""

import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cancel_message_batch import APIConnectionError, APIStatusError, MessageBatches
from cancel_message_batch.sandbox.simulated_batch import DOCUMENTED_ID
from tests.conftest import PROGRAM, Run, make_certificate


def test_the_sandbox_says_where_it_is_and_reports_a_port_in_use(run: Run) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        done = run("sandbox", "--port", str(used.getsockname()[1]))
    assert done.returncode == 1
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
    command = [*PROGRAM, "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        printed = process.stdout.readline()
        assert re.search(r"http://(127\.0\.0\.1|localhost):\d+", printed)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert re.search(r"^  0 +stopped by Ctrl-C", run("sandbox", "--help").stdout, re.MULTILINE)


@contextmanager
def started(*options: str) -> Iterator[str]:
    """Run the sandbox in a process of its own; give its URL."""
    command = [*PROGRAM, "sandbox", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().split()[-1]
        process.terminate()
        process.communicate(timeout=30)


def ids(url: str, key: str = "any") -> list[str]:
    with MessageBatches(base_url=url, api_key=key) as client:
        return [batch.id for batch in client.list()]


def test_ids_differ_at_each_start_and_repeat_with_a_seed() -> None:
    seen = []
    for options in ((), (), ("--seed", "7"), ("--seed", "7")):
        with started(*options) as url:
            seen.append(ids(url))
    assert set(seen[0]) & set(seen[1]) == {DOCUMENTED_ID}
    assert seen[2] == seen[3]


@pytest.mark.parametrize("key", ["sk-right", "invalid", "other-key"])
def test_with_a_key_of_its_own_the_sandbox_accepts_no_other(key: str) -> None:
    with started("--key", key) as url:
        assert ids(url, key)
        with pytest.raises(APIStatusError, match="401"):
            ids(url, "sk-wrong")


def test_the_batches_of_an_account_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    batches: list[dict[str, object]] = [
        {"id": "msgbatch_01mine", "requests": 500, "age_seconds": 60},
        {"requests": 20, "status": "ended", "error_every": 4},
    ]
    file.write_text(json.dumps({"batches": batches}))
    with started("--account", str(file)) as url, MessageBatches(base_url=url, api_key="any") as client:
        mine, ended = client.list()
        assert (mine.id, mine.request_counts.processing) == ("msgbatch_01mine", 500)
        assert (ended.processing_status, ended.request_counts.errored) == ("ended", 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("{", "JSON"),
        ('{"batches": [{"requests": 1, "age": 5}]}', "batches.0.age"),
        ('{"batches": [{"requests": 1, "id": "msgbatch_1"}, {"requests": 1, "id": "msgbatch_1"}]}', "batches.1: there"),
        (
            '{"batches": [{"requests": 1}, {"requests": 1, "age_seconds": 1e5}]}',
            "batches.1: a batch that is in_progress",
        ),
        ('{"batches": [{"requests": 1, "workspace": "mine"}]}', "batches.0.workspace"),
    ],
)
def test_a_file_that_holds_no_account_is_refused_in_words(
    text: str | None, said: str, tmp_path: Path, run: Run
) -> None:
    file = tmp_path / "account.json"
    if text is not None:
        file.write_text(text)
    done = run("sandbox", "--account", str(file))
    assert done.returncode == 2
    assert f"--account {file}" in done.stderr
    assert said in done.stderr


def test_the_faults_of_a_file_happen_in_their_turn(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    faults: list[dict[str, object]] = [
        {"name": "status 403", "operation": "list", "call": 2},
        {"operation": "list", "call": 3, "status": 401},
    ]
    file.write_text(json.dumps(faults))
    with started("--faults", str(file)) as url:
        assert ids(url)
        for status in ("403", "401"):
            with pytest.raises(APIStatusError, match=status):
                ids(url)
        assert ids(url)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"statuss": 1}]', "statuss: Unexpected"),
        ('[{"name": "no reply"}]', "no answer"),
        ("{}", "list"),
        ("[1]", "list"),
        ("[", "Expecting"),
        ("[" * 100_000, "nested"),
    ],
)
def test_a_file_that_holds_no_faults_is_refused_in_words(text: str, said: str, tmp_path: Path, run: Run) -> None:
    file = tmp_path / "faults.json"
    file.write_text(text)
    done = run("sandbox", "--faults", str(file))
    assert done.returncode == 2
    assert f"--faults {file}" in done.stderr
    assert said in done.stderr


@pytest.mark.parametrize(("key", "said"), [("", "is a variable not set?"), (" abc", "with white space")])
def test_a_key_that_no_request_can_send_is_refused(key: str, said: str, run: Run) -> None:
    done = run("sandbox", "--key", key)
    assert (done.returncode, said in done.stderr) == (2, True)


def test_a_certificate_that_nobody_knows_is_refused_by_clients(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = make_certificate(tmp_path)
    certificate, encrypted = tmp_path / "certificate.pem", tmp_path / "encrypted.pem"
    encrypt = ["openssl", "pkey", "-in", str(pem), "-aes256", "-passout", "pass:secret", "-out", str(encrypted)]
    subprocess.run(encrypt, check=True)
    encrypted.write_text(encrypted.read_text() + certificate.read_text())
    for unusable in (certificate, encrypted):
        done = run("sandbox", "--certificate", str(unusable))
        assert (done.returncode, "its private key, without a passphrase" in done.stderr) == (2, True)
    with started("--certificate", str(pem)) as url:
        assert url.startswith("https://")
        with pytest.raises(APIConnectionError, match="certificate"):
            ids(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        assert ids(url)
