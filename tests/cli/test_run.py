"""`run`: a command dies, and the batches that it created stop. Real processes, in a session without a terminal."""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cancel_message_batch.record.store import open_record
from cancel_message_batch.sandbox import Account, Fault, Sandbox
from tests.conftest import KEY, PROGRAM, Run, an_example, cancels, eventually, running
from tests.guarding.gate import Gate

if sys.platform == "win32":
    pytest.skip("these use signals, process groups and pseudo-terminals", allow_module_level=True)
REQUESTS = json.dumps({"requests": [{"custom_id": f"q-{n}", "params": {"model": "m"}} for n in range(3)]})

# Creates a batch with plain HTTP, prints its id, and then does what its arguments say.
SCRIPT = (
    f"BODY = {REQUESTS.encode()!r}"
    + """
import json, os, sys, time, urllib.request
URL = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages/batches"
HEADERS = {"x-api-key": "test-key-of-the-command", "anthropic-version": "2023-06-01"}
def call(method, url, body=None, headers=HEADERS):
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)) as answer:
        return json.load(answer)
def create(**more):
    id = call("POST", URL, BODY, {"content-type": "application/json", **(more or HEADERS)})["id"]
    print(id, flush=True)
    return id
exec(sys.argv[1])
"""
)
WAIT = "create(); time.sleep(60)"


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox as slow as the API: no batch ends while a process starts."""
    with an_example(monkeypatch, speed=1) as running:
        yield running


def a_script(code: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, code]


@contextmanager
def started(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """Start `run`; the signals of a test reach only it, as those of a supervisor do."""
    command = [*PROGRAM, "run", *words]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, start_new_session=True) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def curl(then: str) -> list[str]:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    create = (
        f"curl -s -H 'x-api-key: {KEY}' -H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' "
        f"-d '{REQUESTS}' $ANTHROPIC_BASE_URL/v1/messages/batches | grep -oE 'msgbatch_[0-9A-Za-z]+'; "
    )
    return ["sh", "-c", create + then]


def sdk(then: str) -> list[str]:
    code = (
        "import anthropic, sys, time\n"
        "params = {'model': 'm', 'max_tokens': 9, 'messages': [{'role': 'user', 'content': 'Hi'}]}\n"
        "batches = anthropic.Anthropic().messages.batches\n"
        "print(batches.create(requests=[{'custom_id': 'q', 'params': params}]).id, flush=True)\n"
    )
    return [sys.executable, "-c", code + then]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_batch_of_a_command_that_is_ended_by_a_signal_is_canceled_once(
    sandbox: Sandbox, number: signal.Signals
) -> None:
    command = sdk("time.sleep(60)") if number == signal.SIGTERM else curl("exec sleep 60")
    with started("--", *command) as process:
        batch = line(process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert cancels(sandbox) == [batch]
    assert f"was ended by {number.name}" in errors
    assert f"Canceling: {batch}. What has completed, or still completes, is billed" in errors


def test_the_batch_of_a_command_that_fails_is_canceled_and_no_other(sandbox: Sandbox) -> None:
    (other,) = running(sandbox, 1)  # that it only looks at
    look = f"curl -s -o /dev/null -H 'x-api-key: {KEY}' -H 'anthropic-version: 2023-06-01' "
    look += f"$ANTHROPIC_BASE_URL/v1/messages/batches/{other}; exit 9"
    with started("--name", "nightly eval", "--", *curl(look)) as process:
        created, errors = process.communicate(timeout=60)
    assert process.returncode == 9
    assert [entry.status for entry in sandbox.journal if entry.path.endswith(other)] == [200]
    assert cancels(sandbox) == [created.strip()]
    assert "failed (exit code 9)" in errors
    known = open_record(pytest.fail).known(created.strip())
    assert known is not None
    assert known.process is not None
    assert (known.name, known.process.program, known.requests) == ("nightly eval", "sh", 3)
    assert known.origin == sandbox.url
    actions = [(entry.through, entry.what, entry.answer) for entry in open_record(pytest.fail).history(created.strip())]
    assert actions == [("run", "cancel", "canceling"), ("run", "create", None)]


@pytest.mark.parametrize("keep", [False, True])
def test_nothing_is_canceled_after_a_success_or_with_keep(sandbox: Sandbox, run_process: Run, keep: bool) -> None:
    command = ["--keep", "--", *a_script("create(); sys.exit(1)")] if keep else ["--", *a_script("create()")]
    done = run_process("run", *command)
    batch = done.stdout.strip()
    assert done.returncode == keep
    assert not cancels(sandbox)
    assert (f"Not canceled (--keep), and probably still running: {batch}. To cancel:" in done.stderr) is keep
    assert bool(done.stderr) is keep


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({"x-api-key": "k" * 9, "anthropic-version": "2023-06-01", "X-Gateway": "g"}, {"x-gateway": "g"}),
        ({"Authorization": "Bearer " + "k" * 9, "anthropic-version": "2026-10-21"}, {"authorization": "Bearer …kkkk"}),
        (
            {
                "Authorization": "Bearer " + "t" * 9,
                "anthropic-version": "2023-06-01",
                "anthropic-beta": "oauth-2025-04-20",
            },
            {"authorization": "Bearer …tttt", "anthropic-beta": "oauth-2025-04-20"},
        ),
    ],
)
def test_the_cancel_is_sent_with_the_credential_of_the_command(
    sandbox: Sandbox, run_process: Run, headers: dict[str, str], sent: dict[str, str]
) -> None:
    done = run_process("run", "--", *a_script(f"create(**{headers!r}); sys.exit(1)"), ANTHROPIC_API_KEY="")
    (cancel,) = [entry for entry in sandbox.journal if entry.path.endswith("/cancel")]
    assert cancel.status == 200
    assert cancel.headers["anthropic-version"] == headers["anthropic-version"]
    assert sent.items() <= cancel.headers.items()
    assert "kkkk" not in done.stderr
    assert "tttt" not in done.stderr


def test_what_the_command_saw_end_or_canceled_itself_is_not_canceled_again(sandbox: Sandbox, run_process: Run) -> None:
    end = f"call('POST', {sandbox.url + '/_sandbox/advance'!r}, b'{{\"seconds\": 100000}}')"
    code = (
        f"a, b, c = create(), create(), create(); {end}; call('GET', URL + '/' + a); call('DELETE', URL + '/' + b)\n"
        "call('POST', URL + '/' + create() + '/cancel', b''); create(); sys.exit(1)"
    )
    done = run_process("run", "--", *a_script(code))
    _, _, unseen, itself, running = done.stdout.split()
    assert cancels(sandbox)[0] == itself
    assert sorted(cancels(sandbox)[1:]) == sorted([unseen, running])
    assert "Canceling what it created: 3 message batches." in done.stderr
    assert f"Canceling: {itself} {running}." in done.stderr
    assert f"Ended: {unseen}." in done.stderr


def test_a_command_that_ignores_a_signal_keeps_its_batch_until_it_ends(sandbox: Sandbox) -> None:
    code = "import signal; signal.signal(15, signal.SIG_IGN); print(os.getpid(), flush=True); " + WAIT
    with started("--", *a_script(code)) as process:
        pid, batch = int(line(process)), line(process)
        process.terminate()
        time.sleep(0.3)
        assert process.poll() is None
        assert not cancels(sandbox)
        os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=30)
    assert process.returncode == 137
    assert cancels(sandbox) == [batch]


def test_what_a_command_leaves_running_loses_the_api_and_that_is_reported(sandbox: Sandbox, run_process: Run) -> None:
    code = (
        "import http.client, subprocess\n"
        "held = http.client.HTTPConnection(URL.split('/')[2])\n"
        "held.request('GET', '/v1/models'); held.getresponse().read()\n"
        "subprocess.Popen(['sleep', '20'], pass_fds=[held.sock.fileno()], stdout=-3, stderr=-3)\n"
    )
    done = run_process("run", "--", *a_script(code))
    assert (done.returncode, done.stdout) == (0, "")
    (left,) = re.findall(r"processes that it started are still running \((\d+)\)", done.stderr)
    os.kill(int(left), signal.SIGKILL)
    assert "Traceback" not in done.stderr


def test_a_batch_that_may_exist_is_reported_even_after_a_success(sandbox: Sandbox, run_process: Run) -> None:
    sandbox.fail(Fault(match="batches", drop=True, after=True))
    code = "import http.client\ntry: create()\nexcept (OSError, http.client.HTTPException): pass"
    done = run_process("run", "--", *a_script(code))
    assert done.returncode == 0
    assert re.search(r"a message batch of 3 requests was sent at .* The batch may\s+exist", done.stderr)


def test_a_record_that_cannot_be_used_is_reported_once_and_the_batch_is_canceled(
    sandbox: Sandbox, run_process: Run, tmp_path: Path
) -> None:
    done = run_process("run", "--", *a_script("create(); sys.exit(7)"), CANCEL_MESSAGE_BATCH_RECORD=str(tmp_path))
    assert (done.returncode, cancels(sandbox)) == (7, [done.stdout.strip()])
    assert done.stderr.count("cannot be used") == 1


def test_a_record_that_stays_locked_keeps_no_batch_running(sandbox: Sandbox, run_process: Run) -> None:
    record = open_record(pytest.fail)
    record.set_name("msgbatch_A", "mine")
    assert record.path
    with closing(sqlite3.connect(record.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = run_process("run", "--deadline", "5s", "--", *a_script("for _ in range(6): create()\nsys.exit(7)"))
    assert done.returncode == 7
    assert sorted(cancels(sandbox)) == sorted(done.stdout.split())
    assert len(cancels(sandbox)) == 6
    assert " ".join(done.stderr.split()).count("cannot be used (database is locked)") == 1


def test_a_record_that_is_too_slow_is_given_up_after_the_cancels_and_that_is_reported(sandbox: Sandbox) -> None:
    record = open_record(pytest.fail)
    record.set_name("msgbatch_A", "mine")
    assert record.path
    words = ["run", "--deadline", "5s", "--", *a_script("create(); create(); sys.exit(7)")]
    slow = (
        "import sys; from cancel_message_batch.record import store; from cancel_message_batch.cli.main import main\n"
        f"store._PATIENCE = 60; sys.exit(main({words!r}))"
    )
    with (
        closing(sqlite3.connect(record.path)) as other,
        subprocess.Popen([sys.executable, "-c", slow], stdout=-1, stderr=-1, text=True) as process,
    ):
        try:
            other.execute("BEGIN IMMEDIATE")
            ids, said = {line(process), line(process)}, ""
            assert process.stderr
            while "may be wrong about them" not in " ".join(said.split()):
                said += process.stderr.readline()
                assert process.poll() is None, said
            assert set(cancels(sandbox)) == ids
            assert "This machine's record is too slow." in said
            other.execute("COMMIT")
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 7


def test_what_was_not_recorded_while_the_record_was_locked_is_recorded_later(sandbox: Sandbox) -> None:
    record = open_record(pytest.fail)
    record.set_name("msgbatch_A", "mine")
    assert record.path
    code = "create(); sys.stdin.readline(); create(); create(); sys.stdin.readline(); sys.exit(7)"
    command = [*PROGRAM, "run", "--name", "nightly", "--", *a_script(code)]
    with (
        closing(sqlite3.connect(record.path)) as other,
        subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True, start_new_session=True) as process,
    ):
        try:
            other.execute("BEGIN IMMEDIATE")
            ids, said = [line(process)], ""
            assert process.stdin
            assert process.stderr
            while "is not recorded" not in " ".join(said.split()):
                said += process.stderr.readline()
                assert process.poll() is None, said
            process.stdin.write("\n")
            process.stdin.flush()
            ids += [line(process), line(process)]
            other.execute("COMMIT")
            process.communicate("\n", timeout=60)
        finally:
            process.kill()
    who = record.creators(sandbox.url, ids)
    assert {name: (one.through, one.end) for name, one in who.items()} == dict.fromkeys(ids, ("run", "exit code 7"))
    assert (record.left_behind(sandbox.url), record.open_intents(sandbox.url)) == ({}, [])


def test_a_cancel_that_fails_is_reported_with_what_to_type(sandbox: Sandbox, run_process: Run) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=401))
    done = run_process("run", "--", *a_script("create(); sys.exit(7)"))
    batch = done.stdout.strip()
    assert done.returncode == 7
    assert f"{batch} was not canceled; if it was running, it still is." in done.stderr
    assert f"To cancel: `cancel-message-batch {batch}`" in done.stderr
    assert "test-key-of-the-command" not in done.stderr


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_waits_for_the_response_to_the_cancel(sandbox: Sandbox, second: int) -> None:
    sandbox.fail(Fault(match="cancel", delay=0.5))
    with started("--", *a_script(WAIT)) as process:
        batch = line(process)
        process.send_signal(signal.SIGINT)
        eventually(lambda: cancels(sandbox))
        process.send_signal(second)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"\nCanceling: {batch}. " in errors
    assert cancels(sandbox) == [batch]


def test_a_cancel_is_tried_again_until_the_network_is_back(sandbox: Sandbox, run_process: Run) -> None:
    for fault in (
        Fault(match="cancel", drop=True),
        Fault(match="cancel", status=429),
        Fault(match="cancel", status=503),
    ):
        sandbox.fail(fault)
    sandbox.fail(Fault(match="cancel", status=529))
    done = run_process("run", "--", *a_script("create(); sys.exit(7)"))
    batch = done.stdout.strip()
    assert cancels(sandbox) == [batch] * 5
    assert "Not canceled yet: " in done.stderr
    assert re.search(r"Trying again for up to \d\d seconds; Ctrl-C\s+ends this", done.stderr)
    assert f"\nCanceling: {batch}. " in done.stderr


def test_a_batch_is_canceled_once_a_server_that_refused_connections_can_be_reached_again(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(sandbox.url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", gate.url)
    with started("--", *a_script(WAIT)) as process:
        batch = line(process)
        gate.close()
        process.terminate()
        assert process.stderr
        said = ""
        while "Trying again" not in " ".join(said.split()):
            said += process.stderr.readline()
            assert process.poll() is None, said
        assert "cannot be reached" in " ".join(said.split())
        gate.open()
        _, errors = process.communicate(timeout=60)
    gate.close()
    assert process.returncode == 143
    assert cancels(sandbox) == [batch]
    assert f"Canceling: {batch}" in errors


def test_the_deadline_ends_the_waiting_and_what_is_left_is_reported(sandbox: Sandbox, run_process: Run) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=503))
    began = time.monotonic()
    done = run_process("run", "--deadline", "2s", "--", *a_script("create(); sys.exit(7)"))
    assert time.monotonic() - began < 20
    assert len(cancels(sandbox)) > 1
    assert f"To cancel: `cancel-message-batch {done.stdout.strip()}`" in done.stderr


def test_a_second_ctrl_c_ends_the_waiting_and_what_is_left_is_reported(sandbox: Sandbox) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=503))
    with started("--", *a_script(WAIT)) as process:
        batch = line(process)
        process.send_signal(signal.SIGINT)
        eventually(lambda: cancels(sandbox))
        process.send_signal(signal.SIGHUP)  # a shell that has lost its terminal may send it again: no reason to stop
        time.sleep(2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert f"To cancel: `cancel-message-batch {batch}`" in errors
    assert "503" in errors.partition("Trying again")[2]
    assert "did not answer" not in errors


CREATES_MORE = (  # while the first batch is known, and ends once its input does
    "import threading; create(); threading.Thread(target=create, daemon=True).start(); sys.stdin.read(); os._exit(1)"
)


@contextmanager
def creating(sandbox: Sandbox, fault: Fault, *options: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Let a command fail while a create has no response yet; yields `run` and the batch that it created before."""
    command = [*PROGRAM, "run", *options, "--", *a_script(CREATES_MORE)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    sandbox.fail(fault)
    before = len(sandbox.account.batches())
    with subprocess.Popen(command, **pipes, text=True, start_new_session=True) as process:  # type: ignore[call-overload]
        try:
            first = line(process)
            eventually(lambda: len(sandbox.account.batches()) == before + 2)
            process.stdin.close()
            process.stdin = None
            yield process, first
        finally:
            process.kill()


def test_a_create_that_is_under_way_at_the_end_is_waited_for_and_its_batch_is_canceled(sandbox: Sandbox) -> None:
    with creating(sandbox, Fault(match="POST */batches", call=2, after=True, delay=12)) as (process, first):
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert cancels(sandbox)[0] == first
    assert len(cancels(sandbox)) == 2
    assert re.search(r"no response\s+yet\. Waiting for up to \d\d\s+seconds", errors)


def test_a_second_ctrl_c_ends_the_waiting_for_a_create(sandbox: Sandbox) -> None:
    with creating(sandbox, Fault(match="POST */batches", call=2, after=True, hang=True)) as (process, first):
        eventually(lambda: cancels(sandbox) == [first])
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "The batch may exist" in " ".join(errors.split())
    assert cancels(sandbox) == [first]


def test_with_keep_nothing_is_canceled_while_a_create_is_waited_for_either(sandbox: Sandbox) -> None:
    never = Fault(match="POST */batches", call=2, after=True, hang=True)
    with creating(sandbox, never, "--keep", "--deadline", "2s") as (process, first):
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert cancels(sandbox) == []
    said = " ".join(errors.split())
    assert "no response yet. Waiting for up to" in said
    assert f"Not canceled (--keep), and probably still running: {first}. To cancel:" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_handles_a_signal_and_ends_well_has_failed_all_the_same(
    sandbox: Sandbox, number: signal.Signals
) -> None:
    code = f"import signal; signal.signal({number:d}, lambda *_: sys.exit(0)); {WAIT}"
    with started("--", *a_script(code)) as process:
        batch = line(process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert cancels(sandbox) == [batch]
    assert f"was interrupted by {number.name} (exit code 0). Canceling" in errors


@pytest.mark.parametrize("code", [0, 3])
def test_what_is_created_after_an_interruption_that_the_command_survives_keeps_running_if_it_ends_well(
    sandbox: Sandbox, run: Run, code: int
) -> None:
    script = (
        "import signal; seen = []; signal.signal(2, lambda *_: seen.append(1)); create()\n"
        "while not seen: time.sleep(0.02)\n"
        f"create(); input(); sys.exit({code})"
    )
    with subprocess.Popen(
        [*PROGRAM, "run", "--", *a_script(script)], stdin=-1, stdout=-1, stderr=-1, text=True, start_new_session=True
    ) as process:
        before = line(process)
        process.send_signal(signal.SIGINT)
        after = line(process)
        _, errors = process.communicate("\n", timeout=60)
    assert process.returncode == code
    said = f"Not canceled (created after the interruption), and probably still running: {after}. To cancel:"
    assert (said in errors) is (code == 0)
    assert sorted(cancels(sandbox)) == sorted([before] if code == 0 else [before, after])
    assert after not in run("list", "--orphaned").stdout


def test_a_command_that_cancels_its_batches_itself_when_it_is_interrupted_has_not_failed(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    canceled = tmp_path / "canceled"
    sandbox.fail(Fault(match="cancel", delay=1))  # the command does not wait for the response
    code = (
        "import os, signal, threading; stop = threading.Event(); signal.signal(2, lambda *_: stop.set())\n"
        "a = create(); stop.wait()\n"
        "threading.Thread(target=call, args=('POST', URL + '/' + a + '/cancel', b''), daemon=True).start()\n"
        f"while not os.path.exists({str(canceled)!r}): time.sleep(0.05)"
    )
    with started("--", *a_script(code)) as process:
        batch = line(process)
        process.send_signal(signal.SIGINT)
        while not cancels(sandbox):
            time.sleep(0.05)
        canceled.touch()
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, cancels(sandbox), errors) == (0, [batch], "")


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_other_signals_reach_the_command_and_mean_no_failure(sandbox: Sandbox, number: signal.Signals) -> None:
    code = f"import signal; signal.signal({number:d}, lambda *_: sys.exit(0)); {WAIT}"
    with started("--", *a_script(code)) as process:
        assert line(process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, cancels(sandbox), errors) == (0, [], "")


def test_an_exit_code_is_seen_although_a_supervisor_ignores_its_children(sandbox: Sandbox) -> None:
    ignoring = ["sh", "-c", "trap '' CHLD; exec \"$@\"", "sh", *PROGRAM, "run", "--"]
    done = subprocess.run(
        [*ignoring, *a_script("create(); sys.exit(3)")], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, cancels(sandbox)) == (3, [done.stdout.strip()])


def test_open_files_are_passed_on(sandbox: Sandbox, tmp_path: Path) -> None:
    code = f"{PROGRAM[0]} -m cancel_message_batch run -- sh -c 'echo kept >&7' 7>{tmp_path}/seven"
    assert subprocess.run(["sh", "-c", code], timeout=60, check=False).returncode == 0
    assert (tmp_path / "seven").read_text() == "kept\n"


def test_a_command_that_closes_its_standard_streams_is_watched_to_its_end(sandbox: Sandbox, run_process: Run) -> None:
    done = run_process("run", "--", *a_script("create(); [os.close(n) for n in (0, 1, 2)]; os._exit(3)"))
    assert (done.returncode, cancels(sandbox)) == (3, [done.stdout.strip()])


@pytest.mark.parametrize(
    ("variable", "header", "key"),
    [
        ("ANTHROPIC_API_KEY", "x-api-key: ", "sk-ant-api03-" + "k" * 20),
        ("ANTHROPIC_API_KEY", "x-api-key: ", "a-gateways-key"),
        ("ANTHROPIC_AUTH_TOKEN", "Authorization: Bearer ", "sk-ant-oat01-" + "a" * 20),
    ],
)
def test_the_key_in_the_environment_is_a_stand_in_that_only_this_proxy_exchanges(
    sandbox: Sandbox, run_process: Run, variable: str, header: str, key: str
) -> None:
    name, scheme = header.split(": ")
    code = (
        f"key, token = os.environ[{variable!r}], os.environ['ANTHROPIC_CUSTOM_HEADERS'].split()[-1]\n"
        f"create(**{{{name!r}: {scheme!r} + key, 'anthropic-version': '2023-06-01'}})\n"
        "create(**{'Authorization': 'Bearer ' + token, 'anthropic-version': '2023-06-01'})\n"
        "print(key, token); sys.exit(1)"
    )
    headers = {"ANTHROPIC_CUSTOM_HEADERS": "X-Team: a\nAuthorization: Bearer " + "t" * 20}
    done = run_process("run", "--", *a_script(code), **{variable: key}, **headers)
    *_, shown, token = done.stdout.split()
    assert "tttt" not in token
    assert key not in (shown, token)
    assert shown.startswith(key[:13]) is key.startswith("sk-ant-")
    sent = [entry.headers.get("x-api-key") or entry.headers["authorization"] for entry in sandbox.journal]
    assert sorted(sent) == sorted([f"{scheme}…{key[-4:]}", "Bearer …tttt"] * 2)


def test_no_value_of_a_custom_header_reaches_the_command_and_each_reaches_the_api(
    sandbox: Sandbox, run_process: Run
) -> None:
    given = "Authorization: Basic dXNlcjpTZWNyZXQ=\nHelicone-Auth: Bearer sk-one\r\nX-Team: blue team\nX-None:\n"
    given += "anthropic-beta: a-2026"
    code = (
        "given = os.environ['ANTHROPIC_CUSTOM_HEADERS']; print(given)\n"
        "pairs = [line.split(':', 1) for line in given.splitlines()]\n"
        "create(**{name: value.strip() for name, value in pairs}, **{'anthropic-version': '2023-06-01'})"
    )
    done = run_process("run", "--", *a_script(code), ANTHROPIC_CUSTOM_HEADERS=given)
    for secret in ("dXNlcjpTZWNyZXQ", "sk-one", "blue"):
        assert secret not in done.stdout
    assert "Authorization: Basic " in done.stdout  # programs may look at it
    assert "anthropic-beta: a-2026" in done.stdout
    (sent,) = [entry.headers for entry in sandbox.journal]
    assert (sent["helicone-auth"], sent["x-team"]) == ("Bearer sk-one", "blue team")
    assert sent["authorization"].startswith("Basic")
    assert sent["authorization"].endswith("ZXQ=")


def test_a_command_without_a_request_is_reported_if_it_fails(sandbox: Sandbox, run_process: Run) -> None:
    done = run_process("run", "--", "sh", "-c", "exit 4")
    assert "sh failed (exit code 4), and no request of it came through `run`" in done.stderr
    assert "stand-in" in done.stderr
    assert run_process("run", "--", "true").stderr == ""
    assert "came through" not in run_process("run", "--", *a_script("call('GET', URL); sys.exit(4)")).stderr


def test_a_command_line_in_quotes_is_answered_with_the_one_without(run: Run) -> None:
    done = run("run", "--", "python x.py", ANTHROPIC_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == 127
    assert "Without the quotes: `cancel-message-batch run -- python x.py`" in done.stderr


def test_the_address_stays_the_same_with_a_port_of_its_own(sandbox: Sandbox, run_process: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = run_process("run", "--port", port, "--", *a_script("create()"))
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"Port {port} cannot be used" in refused.stderr
    shows = ["run", "--port", port, "--", *a_script("create(); print(os.environ['ANTHROPIC_BASE_URL'])")]
    first, second = (run_process(*shows).stdout.split()[1] for _ in range(2))
    assert first == second
    assert first.startswith(f"http://127.0.0.1:{port}/")
    assert run_process("run", "--", *shows[4:]).stdout.split()[1] != first
    (secret,) = open_record().path.parent.glob("run-token")  # type: ignore[union-attr]
    assert secret.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", ["link", "readable", "foreign"])
def test_a_token_of_which_others_may_know_is_refused(run: Run, tmp_path: Path, how: str) -> None:
    path = tmp_path / "run-token"
    path.touch(mode=0o600)
    path.write_text("t" * 32)
    if how == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    elif how == "readable":
        path.chmod(0o644)
    elif os.geteuid():
        pytest.skip("only root can give a file away")
    else:
        os.chown(path, 12345, -1)
    record = str(tmp_path / "record.sqlite3")
    done = run("run", "--port", "1", "--", "echo", "ran", CANCEL_MESSAGE_BATCH_RECORD=record)
    assert done.returncode == 2
    assert "run-token cannot be used: " in done.stderr
    assert "Nothing was run." in done.stderr
    assert {"link": "a symbolic link", "readable": "others may read", "foreign": "another user"}[how] in done.stderr


def test_where_no_token_can_be_kept_the_address_is_a_new_one_and_that_is_reported(
    sandbox: Sandbox, run_process: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    shows = ["run", "--port", port, "--", *a_script("print(os.environ['ANTHROPIC_BASE_URL'])")]
    for record, fault in (("off", "record is turned off"), (str(tmp_path / "file" / "r"), "run-token cannot be used")):
        first, second = (run_process(*shows, CANCEL_MESSAGE_BATCH_RECORD=record) for _ in range(2))
        assert first.stdout.startswith(f"http://127.0.0.1:{port}/")
        assert first.stdout != second.stdout
        assert fault in first.stderr
        assert "address is a new one each time" in first.stderr


def test_a_token_that_cannot_be_written_to_the_end_is_absent(sandbox: Sandbox, run_process: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    shows = ["run", "--port", port, "--", *a_script("print(os.environ['ANTHROPIC_BASE_URL'])")]
    full = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *PROGRAM, *shows]
    done = subprocess.run(full, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.startswith(f"http://127.0.0.1:{port}/")
    assert "run-token cannot be used (File too large)" in " ".join(done.stderr.split())
    folder = open_record().path.parent  # type: ignore[union-attr]
    assert [path for path in folder.iterdir() if not path.name.startswith("record")] == []
    first, second = (run_process(*shows) for _ in range(2))
    assert first.stdout == second.stdout
    assert (first.stderr, folder.joinpath("run-token").stat().st_mode & 0o777) == ("", 0o600)


def test_our_own_commands_behind_it_note_the_api_itself(sandbox: Sandbox, run_process: Run) -> None:
    own = [*PROGRAM, "--yes"]
    guarded = (
        "import anthropic; from cancel_message_batch import guard\n"
        "with guard(anthropic.Anthropic()) as batches:\n"
        "    made = batches.create(requests=[{'custom_id': 'q', 'params': {'model': 'm', 'max_tokens': 9,\n"
        "        'messages': [{'role': 'user', 'content': 'Hi'}]}}]).id\n"
        f"import subprocess; subprocess.run([*{own!r}, made], stdout=-3); print(made)"
    )
    done = run_process("run", "--", sys.executable, "-c", guarded)
    known = open_record(pytest.fail).history(done.stdout.strip())
    assert [(entry.through, entry.what, entry.origin) for entry in known] == [
        ("command line", "cancel", sandbox.url),
        ("guard", "create", sandbox.url),
        ("run", "create", sandbox.url),
    ]


def test_a_connection_of_somebody_else_is_not_blamed_on_the_command(sandbox: Sandbox) -> None:
    code = "create(); print(URL, flush=True); input()"
    command = [*PROGRAM, "run", "--", *a_script(code)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) as process:
        line(process)
        host, port = line(process).split("/")[2].split(":")
        with socket.create_connection((host, int(port))) as foreign:
            foreign.sendall(f"GET /v1/models HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            assert foreign.recv(100).startswith(b"HTTP/1.1 404")
            _, errors = process.communicate("\n", timeout=30)
    assert errors == ""


FORKS = pytest.mark.filterwarnings("ignore:.*forkpty:DeprecationWarning")  # the child does nothing but start a program


def in_a_terminal(command: list[str]) -> tuple[int, int]:
    pid, terminal = pytest.importorskip("pty").fork()
    if not pid:
        os.execv(sys.executable, [*PROGRAM, "run", "--", *command])
    return pid, terminal


def until(terminal: int, pattern: str) -> "re.Match[str]":
    shown = ""
    while not (match := re.search(pattern, shown)):
        shown += os.read(terminal, 4096).decode()
    return match


@FORKS
def test_a_ctrl_c_in_a_terminal_reaches_the_command_once(sandbox: Sandbox) -> None:
    code = (
        "import signal; seen = []; signal.signal(2, lambda *_: seen.append(1)); create(); print('ready', flush=True)\n"
        "while not seen: time.sleep(0.02)\n"
        "time.sleep(0.3); sys.exit(40 + len(seen))"
    )
    pid, terminal = in_a_terminal(a_script(code))
    until(terminal, "ready")
    os.write(terminal, b"\x03")
    until(terminal, "check again")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 41
    os.close(terminal)
    assert len(cancels(sandbox)) == 1


@FORKS
def test_a_ctrl_c_that_is_sent_to_us_alone_reaches_the_command_in_a_terminal_too(sandbox: Sandbox) -> None:
    pid, terminal = in_a_terminal(a_script(WAIT))
    batch = until(terminal, r"(msgbatch_\w+)\r")[1]
    os.kill(pid, signal.SIGINT)
    until(terminal, "check again")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    os.close(terminal)
    assert cancels(sandbox) == [batch]


@FORKS
def test_on_a_terminal_a_success_says_what_keeps_running_as_a_command_may_read_ctrl_c_as_a_key(
    sandbox: Sandbox,
) -> None:
    code = (
        "import termios, tty; before = termios.tcgetattr(0); tty.setraw(0); create(); print('ready', flush=True)\n"
        "assert os.read(0, 1) == b'\\x03'; termios.tcsetattr(0, termios.TCSANOW, before)"
    )
    pid, terminal = in_a_terminal(a_script(code))
    until(terminal, "ready")
    os.write(terminal, b"\x03")
    until(
        terminal,
        r"code\s+0\.\s+Not\s+canceled,\s+and\s+probably\s+still\s+running:\s+(msgbatch_\w+)\.\s+To\s+cancel:\s+`cancel-message-batch\s+\1`",
    )
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert not cancels(sandbox)


@FORKS
def test_a_closed_terminal_ends_the_command_and_its_batch(sandbox: Sandbox) -> None:
    pid, terminal = in_a_terminal(a_script(WAIT))
    batch = until(terminal, r"(msgbatch_\w+)\r")[1]
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 129
    assert cancels(sandbox) == [batch]


def test_a_batch_whose_command_was_killed_with_us_is_left_behind(sandbox: Sandbox, run: Run) -> None:
    with started("--", *a_script(WAIT)) as process:
        batch = line(process)
        os.killpg(process.pid, signal.SIGKILL)
    assert batch in run("list", "--orphaned").stdout
    assert run("--all", "--orphaned", "--yes").returncode == 0
    assert cancels(sandbox) == [batch]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "which command?"),
        (["--keep", "--"], 2, "which command?"),
        (["python", "nightly.py"], 2, "put -- before the command"),
        (["--kept", "--", "true"], 2, "did you mean --keep?"),
        (["--name", "msgbatch_1", "--", "true"], 2, "a name cannot contain msgbatch_"),
        (["--", "no-such-command"], 127, "no-such-command cannot be run (No such file or directory)"),
        (["--", "/"], 126, "/ cannot be run (Permission denied)"),
        (["--", "\x1b[31m\u202ered"], 127, "run: [31m red cannot be run"),
    ],
)
def test_a_command_that_cannot_be_run(run: Run, words: list[str], code: int, message: str) -> None:
    done = run("run", *words, ANTHROPIC_BASE_URL="http://127.0.0.1:9")
    assert done.returncode == code
    assert message in done.stderr


def test_the_words_of_the_command_stay_as_they_are(sandbox: Sandbox, run_process: Run, tmp_path: Path) -> None:
    script = tmp_path / "show.py"
    script.write_text("import os, sys; print(sys.argv[1:], sys.stdin.read(), os.environ['no_proxy'])")
    words = ["--name", "x", "--", "--help", "a b"]
    done = run_process("run", "--", sys.executable, str(script), *words, stdin="in", HTTP_PROXY="http://127.0.0.1:9")
    assert done.stdout == f"{words} in 127.0.0.1\n"


def test_a_base_url_with_a_path_is_kept(run_process: Run) -> None:
    with Sandbox(account=Account()) as mounted:
        base_url = f"{mounted.url}/rest/anthropic-message-batches-api/1.0.0"
        done = run_process("run", "--", *a_script("create(); sys.exit(1)"), ANTHROPIC_BASE_URL=base_url)
        assert done.returncode == 1, done.stderr
        assert next(entry.path for entry in mounted.journal).startswith("/rest/anthropic-message-batches-api/1.0.0/v1")
        assert len(cancels(mounted)) == 1


def test_a_name_that_is_not_kept_is_reported(run: Run) -> None:
    off = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "CANCEL_MESSAGE_BATCH_RECORD": "off"}
    assert "so the name is not kept" in run("run", "--name", "nightly", "--", "true", **off).stderr
    assert run("run", "--", "true", **off).stderr == ""


def test_six_hundred_connections_at_once_work_under_the_usual_limit_of_open_files(sandbox: Sandbox) -> None:
    code = (
        "import resource, socket\n"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1024\n"
        "host, port = URL.split('/')[2].split(':')\n"
        "request = f'GET /v1/models HTTP/1.1\\r\\nHost: {host}:{port}\\r\\n\\r\\n'.encode()\n"
        "held = [socket.create_connection((host, port), timeout=60) for _ in range(600)]\n"
        "for one in held: one.sendall(request)\n"
        "print(sum(one.recv(100).startswith(b'HTTP/1.1 4') for one in held))\n"
    )
    limited = ["sh", "-c", 'ulimit -Sn 1024; exec "$@"', "sh", *PROGRAM, "run", "--", *a_script(code)]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr) == ("600\n", "")
