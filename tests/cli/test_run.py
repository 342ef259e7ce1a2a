"""`run`: a command dies, and the batches that it created stop. Real processes, in a session without a terminal."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cancel_message_batch.record.store import open_record
from cancel_message_batch.sandbox import Account, Fault, Sandbox
from tests.conftest import KEY, PROGRAM, Run, an_example, cancels

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


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert holds()


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
    assert f"Canceling: {batch}. Requests already being processed may still complete and are billed" in errors


def test_the_batch_of_a_command_that_fails_is_canceled_and_no_other(sandbox: Sandbox) -> None:
    with started("--name", "nightly eval", "--", *curl("exit 9")) as process:
        created, errors = process.communicate(timeout=60)
    assert process.returncode == 9
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
    assert "still had 1 connection to the API" in done.stderr
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
def test_a_closed_terminal_ends_the_command_and_its_batch(sandbox: Sandbox) -> None:
    pid, terminal = in_a_terminal(a_script(WAIT))
    batch = until(terminal, r"(msgbatch_\w+)\r")[1]
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 129
    assert cancels(sandbox) == [batch]


def test_a_batch_whose_command_was_killed_with_us_is_an_orphan(sandbox: Sandbox, run: Run) -> None:
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
