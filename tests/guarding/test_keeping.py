"""`keep` in a program under `run`: the batch is left running, whatever the program's environment or the record is."""

import json
import logging
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anthropic
import pytest

from cancel_message_batch import guard
from cancel_message_batch.guarding.keeping import HEADER, keep_url
from cancel_message_batch.record.store import open_record
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import PROGRAM, Run, an_example, cancels

from .conftest import BATCH, TOKEN, Behind, Connection, Upstream
from .programs import REQUESTS, client

START = """
import asyncio, os, subprocess, sys, threading
import anthropic
from cancel_message_batch import guard
requests = [{"custom_id": "q", "params": {}}]
"""
KEEPS = """
with guard(anthropic.Anthropic()) as batches:
    kept, other = (batches.create(requests=requests).id for _ in range(2))
    batches.keep(kept); print(kept, other)
sys.exit(1)
"""
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
PATH = "/.cancel-message-batch/keep/msgbatch_01new"


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox as slow as the API: no batch ends while a process starts."""
    with an_example(monkeypatch, speed=1) as running:
        yield running


def program(code: str) -> list[str]:
    return [sys.executable, "-c", START + code]


def assert_kept(sandbox: Sandbox, run_process: Run, *command: str) -> None:
    """Run a command that keeps the first of two batches, and fails."""
    done = run_process("run", "--", *command)
    kept, other = done.stdout.split()
    assert done.returncode == 1, done.stderr
    assert cancels(sandbox) == [other], done.stderr
    assert f"Left running, because the program keeps it: {kept}." in done.stderr
    assert list(open_record().left_behind(sandbox.url)) == []
    assert {entry.path.partition("?")[0].removesuffix("/cancel").removesuffix(other) for entry in sandbox.journal} == {
        "/v1/messages/batches",
        "/v1/messages/batches/",
    }


@pytest.mark.parametrize(
    "before",
    [
        "del os.environ['CANCEL_MESSAGE_BATCH_BEHIND']",
        "os.environ['CANCEL_MESSAGE_BATCH_RECORD'] = 'off'",
        "open('file', 'x'); os.environ['CANCEL_MESSAGE_BATCH_RECORD'] = 'file/record.sqlite3'",
        "del os.environ['CANCEL_MESSAGE_BATCH_RECORD'], os.environ['CANCEL_MESSAGE_BATCH_BEHIND']",
    ],
    ids=["without the variable", "record off", "no room for a record", "nothing passed on"],
)
def test_what_a_guard_in_the_command_keeps_is_left_alone_in_any_environment(
    sandbox: Sandbox, run_process: Run, before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_kept(sandbox, run_process, *program(before + KEEPS))


@pytest.mark.parametrize("how", ["newer", "locked", "off"])
def test_what_a_guard_in_the_command_keeps_is_left_alone_with_any_record(
    sandbox: Sandbox, run_process: Run, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.sqlite3"
    monkeypatch.setenv("CANCEL_MESSAGE_BATCH_RECORD", "off" if how == "off" else str(path))
    with closing(sqlite3.connect(path if how != "off" else ":memory:")) as other:
        if how == "newer":
            other.execute("PRAGMA user_version = 999")
        elif how == "locked":
            open_record(pytest.fail).set_name("msgbatch_A", "mine")
            other.execute("BEGIN IMMEDIATE")
        assert_kept(sandbox, run_process, *program(KEEPS))


@pytest.mark.parametrize(
    "code",
    [
        """
async def main():
    async with guard(anthropic.AsyncAnthropic()) as batches:
        kept, other = [(await batches.create(requests=requests)).id for _ in range(2)]
        batches.keep(kept); print(kept, other)
asyncio.run(main()); sys.exit(1)
""",
        """
with guard(anthropic.Anthropic()) as outer, guard(outer) as batches:
    kept, other = (batches.create(requests=requests).id for _ in range(2))
    batches.keep(kept); print(kept, other)
sys.exit(1)
""",
        """
with guard(anthropic.Anthropic()) as batches:
    kept, other = (batches.with_raw_response.create(requests=requests).parse().id for _ in range(2))
    thread = threading.Thread(target=batches.keep, args=(kept,)); thread.start(); thread.join(); print(kept, other)
sys.exit(1)
""",
        """
batches = guard(anthropic.Anthropic()).__enter__()
child = os.fork() if hasattr(os, "fork") else 0
if not child:
    kept, other = (batches.create(requests=requests).id for _ in range(2))
    batches.keep(kept); print(kept, other, flush=True)
    os._exit(0) if hasattr(os, "fork") else sys.exit(1)
os.waitpid(child, 0); sys.exit(1)
""",
    ],
    ids=["async", "guard in a guard", "thread", "forked child"],
)
def test_what_is_kept_from_anywhere_in_the_program_is_left_alone(sandbox: Sandbox, run_process: Run, code: str) -> None:
    assert_kept(sandbox, run_process, *program(code))


def test_each_run_around_the_program_leaves_alone_what_it_keeps(sandbox: Sandbox, run_process: Run) -> None:
    own = (
        "os.environ['CANCEL_MESSAGE_BATCH_RECORD'] = os.environ['HOME'] + '/another.sqlite3'\n"
        "del os.environ['CANCEL_MESSAGE_BATCH_BEHIND']\n"
        f"sys.exit(subprocess.run([*{PROGRAM!r}, 'run', '--', *{program(KEEPS)!r}]).returncode)"
    )
    done = run_process("run", "--", *program(own))
    kept, other = done.stdout.split()
    assert cancels(sandbox) == [other]  # by the inner one, which the outer one has seen
    assert done.stderr.count(f"Left running, because the program keeps it: {kept}.") == 2
    assert list(open_record().left_behind(sandbox.url)) == []


def keeping(upstream: Upstream, answer: bytes = NO_CONTENT, path: str = f"/{TOKEN}{PATH}") -> None:
    """Let a server create a batch as `run` does, and answer this to whoever keeps it at this path."""

    def script(connection: Connection) -> None:
        if b"/v1/messages/batches" in connection.message():
            header = f"{HEADER}: {path}".encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            connection.send(head + header + b"\r\nContent-Length: %d\r\n\r\n%s" % (len(BATCH), BATCH))
        else:
            connection.send(answer)

    upstream.script = script


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n", "The command has already ended."),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "Another `run` around it could not be reached."),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP 404."),
        (b"", "It did not respond."),
        (b"not HTTP\r\n\r\n", "It did not respond."),
    ],
)
def test_a_keep_that_run_does_not_confirm_is_reported(
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answer: bytes,
    why: str,
) -> None:
    keeping(upstream, answer)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{upstream.port}")
    with client() as sdk, guard(sdk) as batches:
        batches.keep(batches.create(requests=REQUESTS).id)
    (told,) = [entry for entry in caplog.records if entry.levelno == logging.WARNING]
    assert "could not be told to keep msgbatch_01new: " in told.message
    assert why in told.message
    assert told.message.endswith("If the program fails, `run` may cancel the batch.")


def test_a_run_that_is_gone_is_reported_by_keep(
    upstream: Upstream, behind: Behind, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keeping(upstream)  # another `run` around it
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    with anthropic.Anthropic(base_url=behind.relay.url) as sdk, guard(sdk) as batches:
        created = batches.create(requests=REQUESTS)
        batches.keep(created.id)
        assert not caplog.records
        behind.relay.__exit__()
        batches.keep(created.id)
    assert "could not be told to keep msgbatch_01new: " in caplog.text
    assert behind.relay.created["msgbatch_01new"].kept


@pytest.mark.parametrize(
    ("url", "path", "where"),
    [
        ("http://127.0.0.1:81/T/v1/messages/batches", f"/T{PATH}", f"http://127.0.0.1:81/T{PATH}"),
        ("http://u:p@localhost/T/v1/messages/batches", f"/T{PATH}", f"http://localhost:80/T{PATH}"),
        ("https://api.anthropic.com/v1/messages/batches", f"/T{PATH}", ""),
        ("https://127.0.0.1/v1/messages/batches", f"/T{PATH}", ""),
        ("http://gateway.example/v1/messages/batches", f"/T{PATH}", ""),
        ("http://127.0.0.1:81/v1/messages/batches", "/v1/messages/batches/msgbatch_other/cancel", ""),
        (
            "http://127.0.0.1:81/v1/messages/batches",
            f"@other.example/{PATH}",
            f"http://127.0.0.1:81/@other.example/{PATH}",
        ),
        (
            "http://127.0.0.1:81/v1/messages/batches",
            f"//other.example{PATH}",
            f"http://127.0.0.1:81/other.example{PATH}",
        ),
    ],
)
def test_only_the_server_that_created_the_batch_is_told_and_only_on_this_machine(
    url: str, path: str, where: str
) -> None:
    assert keep_url(url, {HEADER: path}) == where
    assert keep_url(url, {}) == ""


@pytest.mark.parametrize("host", ["127.0.0.2"])
def test_a_server_elsewhere_that_calls_itself_run_is_told_nothing(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        socket.create_server((host, 0)).close()
    except OSError:
        pytest.skip("this system has one loopback address")
    upstream = Upstream(host)
    keeping(upstream)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    with anthropic.Anthropic(base_url=f"http://{host}:{upstream.port}") as sdk, guard(sdk) as batches:
        batches.keep(batches.create(requests=REQUESTS).id)
    assert upstream.connections == 1
    upstream.close()


def test_the_api_hears_nothing_of_a_keep_and_cannot_pretend_to_be_run(upstream: Upstream, behind: Behind) -> None:
    keeping(upstream, path="/gateway/v1/messages/batches/msgbatch_other/cancel")
    client = behind.connect()
    client.send(behind.request(b"POST /gateway/v1/messages/batches HTTP/1.1", body=json.dumps({}).encode()))
    head = client.message().lower()
    assert head.count(HEADER.encode()) == 1
    assert f"{HEADER}: /{TOKEN}{PATH}".encode().lower() in head
    seen = upstream.connections
    for path, status in ((PATH, b"204"), (PATH + "2", b"404"), ("/gateway" + PATH, b"404"), (PATH + "/..", b"404")):
        client = behind.connect()
        client.send(behind.request(f"POST {path} HTTP/1.1".encode()))
        assert client.until(b"\r\n").split()[1] == status
    assert upstream.connections == seen


def test_after_the_end_of_the_command_it_is_too_late_to_keep_a_batch_but_not_to_repeat_it(
    upstream: Upstream, behind: Behind
) -> None:
    ids = iter(("msgbatch_01new", "msgbatch_02new", "msgbatch_01new"))  # the last one by the same idempotency key

    def script(connection: Connection) -> None:
        connection.message()
        body = BATCH.replace(b"msgbatch_01new", next(ids).encode())
        connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def send(start: str) -> bytes:
        client = behind.connect()
        client.send(behind.request(start.encode()))
        return client.until(b"\r\n").split()[1]

    upstream.script = script
    create = "POST /gateway/v1/messages/batches HTTP/1.1"
    keep = "POST /.cancel-message-batch/keep/{} HTTP/1.1"
    assert [send(create), send(create), send(keep.format("msgbatch_01new")), send(create)] == [
        b"200",
        b"200",
        b"204",
        b"200",
    ]
    behind.relay.end_of_command()
    assert [send(keep.format(f"msgbatch_0{n}new")) for n in (1, 2)] == [b"204", b"409"]
    assert {name: batch.kept for name, batch in behind.relay.created.items()} == {
        "msgbatch_01new": True,
        "msgbatch_02new": False,
    }
