"""The server of the sandbox: it starts, stops and serves many clients."""

import asyncio
import math
import os
import signal
import socket
import subprocess
import sys
import threading

import httpx2
import pytest

from cancel_message_batch import AsyncMessageBatches
from cancel_message_batch.sandbox import Account, Fault, Sandbox
from cancel_message_batch.sandbox.simulated_batch import DOCUMENTED_ID

from .conftest import HEADERS, Call, Serve

BATCHES = "/v1/messages/batches"


def test_a_port_in_use_is_an_error_in_the_callers_thread(server: Sandbox) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=port).start()
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=port).serve()


def test_a_sandbox_stops_with_clients_still_waiting() -> None:
    ended = []

    def wait(sandbox: Sandbox) -> None:
        with pytest.raises(httpx2.TransportError):
            httpx2.get(sandbox.url + BATCHES, headers=HEADERS, timeout=30)
        ended.append(True)

    with Sandbox(account=Account()) as sandbox:
        sandbox.fail(Fault(times=0, hang=True))
        clients = [threading.Thread(target=wait, args=(sandbox,)) for _ in range(3)]
        for client in clients:
            client.start()
        while len(sandbox.journal) < 3:
            pass
        idle = socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2])))
    for client in clients:
        client.join(10)
    idle.close()
    assert ended == [True] * 3


def test_a_stopped_sandbox_can_be_started_again_and_remembers(call: Call) -> None:
    sandbox = Sandbox(account=Account())
    sandbox.stop()  # nothing to stop is no error
    with sandbox, pytest.raises(RuntimeError, match="already"):
        sandbox.start()
    batch_id = sandbox.account.add(10)
    for _ in range(2):
        with sandbox:
            assert call(sandbox, "GET", BATCHES).json()["first_id"] == batch_id
    assert len(sandbox.journal) == 2


def test_a_sandbox_can_be_stopped_right_after_its_start() -> None:
    sandbox = Sandbox(account=Account())
    for _ in range(20):
        sandbox.start()
        sandbox.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_in_the_foreground_until_it_is_stopped(number: int) -> None:
    script = "from cancel_message_batch.sandbox import Sandbox; Sandbox().serve(); print('stopped')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        welcome = "".join(iter(process.stdout.readline, "Ctrl-C stops it.\n"))
        answer = httpx2.get(f"{url}{BATCHES}/{DOCUMENTED_ID}", headers=HEADERS)
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    assert answer.json()["id"] == DOCUMENTED_ID
    assert "it never ends" in welcome
    assert output.splitlines()[-1] == "stopped"
    assert (errors, process.returncode) == ("", 0)


def test_a_thousand_cancels_at_once_are_all_answered(serve: Serve) -> None:
    sandbox = serve()
    ids = [sandbox.account.add(1000, 60) for _ in range(1000)]

    async def cancel_all() -> list[str]:
        limits = httpx2.Limits(max_connections=200)
        async with httpx2.AsyncClient(base_url=sandbox.url, headers=HEADERS, limits=limits, timeout=60) as client:
            answers = await asyncio.gather(*(client.post(f"{BATCHES}/{each}/cancel") for each in ids))
        return [answer.json()["processing_status"] for answer in answers]

    assert set(asyncio.run(cancel_all())) == {"canceling"}
    assert all(batch.cancel_at for batch in sandbox.account.batches())
    assert len(sandbox.journal) == 1000


def test_it_can_be_used_inside_a_running_event_loop() -> None:
    async def use() -> None:
        with Sandbox() as running:
            async with AsyncMessageBatches(base_url=running.url, api_key="test-key") as batches:
                assert (await batches.list()).data

    asyncio.run(use())


@pytest.mark.parametrize("wrong", [{"days": 10**10}, {"seconds": math.nan}, {"hours": math.inf}, {"minutes": -1}])
def test_a_duration_that_the_clock_cannot_be_advanced_by_is_an_error_in_words(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"^(the clock can only be advanced forwards|that is beyond the year 9989)$"):
        Sandbox().advance(**wrong)


FORKING = """
import os
import httpx2
from cancel_message_batch.sandbox import Sandbox

with Sandbox() as sandbox, httpx2.Client(base_url=sandbox.url, timeout=10) as kept:
    assert kept.get("/").status_code == 200
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)  # until the parent has ended
        os._exit(0)
    sandbox.fault("refused", refuse=600)
    for client in (kept, httpx2):
        try:
            client.get(sandbox.url)
        except httpx2.ConnectError:
            print("refused")
    sandbox.reset()
    assert kept.get("/").status_code == 200
    sandbox.reset()
    assert kept.get("/").status_code == 200
with Sandbox(port=int(sandbox.url.rpartition(":")[2])):
    print("started again")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked there")
def test_a_forked_child_keeps_neither_the_address_nor_connections() -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING]  # of threads that a fork ends
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "refused\nrefused\nstarted again\n", done.stderr


def test_what_is_assigned_to_a_sandbox_is_what_it_has(server: Sandbox, call: Call) -> None:
    server.fault("status 400", times=0)
    server.faults = []
    server.account = Account(speed=100)
    batch_id = server.account.add(5)
    assert call(server, "GET", f"{BATCHES}/{batch_id}").json()["id"] == batch_id
    assert [batch["id"] for batch in call(server, "GET", "/_sandbox/batches").json()] == [batch_id]
    server.faults = [Fault(status=418), Fault(refuse=600)]
    with pytest.raises(httpx2.ConnectError):
        call(server, "GET", BATCHES)
    server.faults = server.faults
    assert call(server, "GET", BATCHES).status_code == 418
    with pytest.raises(AttributeError):
        server.journal = []  # type: ignore[misc, assignment]


FROZEN = """
import sys, threading
import freezegun, httpx2

def reach(step):
    if step == sys.argv[1]:
        frozen.start()
    elif step == sys.argv[2]:
        frozen.stop()

frozen = freezegun.freeze_time("2026-01-01")
reach("import")
from cancel_message_batch.sandbox import Sandbox

def get():
    with httpx2.Client(base_url=sandbox.url, headers={"x-api-key": "k", "anthropic-version": "2023-06-01"}) as client:
        return [client.get("/v1/messages/batches").status_code for _ in range(2)]

sandbox = Sandbox()
reach("start")
sandbox.start()
reach("requests")
assert get() == [200, 200]
if sys.argv[1] != "stop":
    assert sandbox.account.now() == 1767225600
    assert httpx2.get(sandbox.url).headers["date"] == "Thu, 01 Jan 2026 00:00:00 GMT"
sandbox.fault(operation="list", delay=0.01, status=500)
assert get() == [500, 200]
sandbox.fault("refused", refuse=0.1)
while True:
    try:
        get()
        break
    except httpx2.HTTPError:
        pass
sandbox.fault("no answer")
threading.Thread(target=get, daemon=True).start()
while len(sandbox.journal) < 7:
    pass
reach("stop")
sandbox.stop()
print("stopped")
"""


@pytest.mark.parametrize(
    ("begin", "end"), [("start", ""), ("start", "stop"), ("requests", ""), ("requests", "stop"), ("stop", "")]
)
def test_it_works_and_stops_while_a_test_has_frozen_the_time(begin: str, end: str) -> None:
    frozen(begin, end)


@pytest.mark.skipif(sys.platform == "win32", reason="no clock is left there that is not frozen")
@pytest.mark.parametrize("end", ["", "stop"])
def test_it_works_if_it_is_imported_in_frozen_time(end: str) -> None:
    frozen("import", end)


def frozen(begin: str, end: str) -> None:
    command = [sys.executable, "-c", FROZEN, begin, end]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "stopped\n", done.stderr
