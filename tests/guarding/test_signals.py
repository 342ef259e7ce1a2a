"""Signals, threads and the end of a process while guards are open."""

import asyncio
import linecache
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import anthropic
import pytest

from cancel_message_batch import guard
from cancel_message_batch.guarding import block, signals
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.conftest import cancels

from .programs import REQUESTS, Program, TroubleError, client, fails, leave, record, status, until

both = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
SUSPENDED = """
import sys
import anthropic
from cancel_message_batch import guard

def generator():
    with guard(anthropic.Anthropic(), cancel=sys.argv[1]) as batches:
        while True:
            yield batches.create(requests=[{"custom_id": "a", "params": {"model": "claude-haiku-4-5"}}])

suspended = generator()
print(next(suspended).id, flush=True)
exec(sys.argv[2])
"""
GOES_ON = """
import asyncio, sys
import anthropic
from cancel_message_batch import guard

requests = [{"custom_id": "a", "params": {"model": "claude-haiku-4-5"}}]

def generator():
    with guard(anthropic.Anthropic()) as batches:
        yield batches.create(requests=requests)

def swallow():
    with guard(anthropic.Anthropic()) as batches:
        print(batches.create(requests=requests).id, flush=True)
        try:
            input()
        except BaseException:
            pass

async def swallow_async():
    async with guard(anthropic.AsyncAnthropic()) as batches:
        print((await batches.create(requests=requests)).id, flush=True)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

if sys.argv[1] == "generator":
    for batch in generator():
        print(batch.id, flush=True)
        input()
if sys.argv[1] == "swallow one":
    with guard(anthropic.Anthropic()) as batches:
        try:
            print(batches.create(requests=requests).id, flush=True)
            input()
        except SystemExit:
            print("goes on", flush=True)
        input()
swallow() if sys.argv[1] == "swallow" else asyncio.run(swallow_async())
"""
TERMINATED_TWICE = """
import asyncio, contextlib, os, signal, sys
import anthropic
from cancel_message_batch import guard

requests = [{"custom_id": "a", "params": {"model": "claude-haiku-4-5"}}]

def again_at(step):
    steps = []

    def local(frame, event, _arg):
        if event in {"call", "line"}:
            steps.append(frame)
            if len(steps) == step:
                print("again", flush=True)
                signal.raise_signal(signal.SIGTERM)
        return local

    def trace(frame, event, arg):
        inside = os.sep + "guarding" + os.sep in frame.f_code.co_filename
        begins = frame.f_code.co_name in {"__exit__", "__aexit__"}
        return local(frame, event, arg) if inside and (steps or begins) else None

    sys.settrace(trace)

def sync(step):
    with guard(anthropic.Anthropic()) as batches:
        print(batches.create(requests=requests).id, flush=True)
        with amid_the_clean_up(step):
            signal.raise_signal(signal.SIGTERM)

async def run(step):
    async with guard(anthropic.AsyncAnthropic()) as batches:
        print((await batches.create(requests=requests)).id, flush=True)
        with amid_the_clean_up(step):
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(3600)

@contextlib.contextmanager
def amid_the_clean_up(step):
    again_at(step)
    try:
        yield
    finally:
        if step == 0:
            print("again", flush=True)
            signal.raise_signal(signal.SIGTERM)

for step in map(int, sys.argv[2:]):
    if not (child := os.fork()):
        sync(step) if sys.argv[1] == "sync" else asyncio.run(run(step))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
INTERRUPTED_TWICE = """
import asyncio, sys
import anthropic
from cancel_message_batch import guard

requests = [{"custom_id": "a", "params": {"model": "claude-haiku-4-5"}}]

def sync():
    with guard(anthropic.Anthropic(), deadline=3600) as outer, guard(outer, deadline=3600) as batches:
        print(batches.create(requests=requests).id, flush=True)
        input()

async def run():
    async with guard(anthropic.AsyncAnthropic(), deadline=3600) as batches:
        print((await batches.create(requests=requests)).id, flush=True)
        await asyncio.sleep(3600)

sync() if sys.argv[1] == "sync" else asyncio.run(run())
"""

not_on_windows = pytest.mark.skipif(sys.platform == "win32", reason="no signal can be sent to a program")


@not_on_windows
@pytest.mark.parametrize("kind", ["sync", "two tasks"])
def test_the_loss_of_the_terminal_cancels_and_ends_the_program_as_without_a_guard(slow: Sandbox, kind: str) -> None:
    program = Program(kind, "wait")
    program.send(signal.SIGHUP)
    ended, errors = program.end()
    assert ended == -signal.SIGHUP, errors
    assert sorted(cancels(slow)) == sorted(program.ids)
    assert 'The guarded block of "nightly eval" ended with SIGHUP.' in errors


@not_on_windows
@pytest.mark.parametrize("how", ["generator", "swallow", "swallow async"])
def test_a_signal_that_the_block_does_not_see_or_swallows_cancels_and_ends_the_program(slow: Sandbox, how: str) -> None:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    program = subprocess.Popen([sys.executable, "-c", GOES_ON, how], **pipes, text=True)
    assert program.stdout
    name = program.stdout.readline().strip()
    program.send_signal(signal.SIGTERM)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == -signal.SIGTERM, errors
    assert cancels(slow) == [name]
    assert "The guarded block ended with SIGTERM." in errors


@not_on_windows
def test_a_block_that_swallows_one_signal_and_goes_on_is_ended_by_the_next(slow: Sandbox) -> None:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    program = subprocess.Popen([sys.executable, "-c", GOES_ON, "swallow one"], **pipes, text=True)
    assert program.stdout
    name = program.stdout.readline().strip()
    program.send_signal(signal.SIGTERM)
    assert program.stdout.readline() == "goes on\n"
    program.send_signal(signal.SIGTERM)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == -signal.SIGTERM, errors
    assert cancels(slow) == [name]


@not_on_windows
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_second_signal_at_any_step_of_the_end_that_the_first_brought_skips_no_cancel(
    slow: Sandbox, kind: str
) -> None:
    steps = [*range(16), 40, 80, 160]
    program = [sys.executable, "-c", TERMINATED_TWICE, kind, *map(str, steps)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=True)
    words = done.stdout.split()
    assert words[1::3] == ["again"] * len(steps), done.stderr
    assert words[2::3] == [str(-signal.SIGTERM)] * len(steps), done.stderr
    assert cancels(slow) == words[::3]


@not_on_windows
def test_a_program_that_ignores_the_loss_of_its_terminal_goes_on(slow: Sandbox) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with client() as sdk, guard(sdk):
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@not_on_windows
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_second_ctrl_c_ends_the_waiting_and_says_what_is_left_and_how_to_cancel_it(slow: Sandbox, kind: str) -> None:
    slow.fail(Fault(match="cancel", times=0, status=529))
    program = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED_TWICE, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout
    assert program.stderr
    name = program.stdout.readline().strip()
    program.send_signal(signal.SIGINT)
    waiting = program.stderr.readline()
    assert waiting.startswith("Not canceled yet: The API answered 529 overloaded_error")
    assert "Ctrl-C ends this." in waiting
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == -signal.SIGINT, errors
    assert f"{name} was not canceled; if it was running, it still is." in errors
    assert f"To cancel: `cancel-message-batch {name}`" in errors


def interrupting(
    step: int, done: list[bool], begins: Callable[[FrameType], bool] = lambda frame: frame.f_code.co_name == "hold"
) -> Callable[[FrameType, str, Any], Any]:
    """Trace a guard, from where it is left or this ``begins``, and press Ctrl-C at a step of it."""
    room, steps = str(Path(signals.__file__).parent), [0]

    def local(frame: FrameType, event: str, _arg: Any) -> Any:
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        # Python handles no signal between the last step of a `with` block and the release of its lock.
        if event == "line" and not line.startswith("with self._lock"):
            steps[0] += 1
            if steps[0] == step:
                done.append(True)
                signal.raise_signal(signal.SIGINT)
        return local

    def trace(frame: FrameType, _event: str, _arg: Any) -> Any:
        inside = frame.f_code.co_filename.startswith(room)
        return local if (inside and steps[0]) or begins(frame) else None

    return trace


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_ctrl_c_at_any_step_between_an_exception_and_its_cancels_skips_none(
    slow: Sandbox, asynchronous: bool
) -> None:
    ids: list[str] = []
    for step in range(1, 41):
        done: list[bool] = []

        def last(name: str, step: int = step, done: list[bool] = done) -> None:
            ids.append(name)
            sys.settrace(interrupting(step, done))

        try:
            with pytest.raises((TroubleError, KeyboardInterrupt)):
                leave(TroubleError(), asynchronous=asynchronous, last=last)
        finally:
            sys.settrace(None)
        assert done, step
        assert status(slow, ids[-1]) == "canceling", step
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert set(cancels(slow)) == set(ids)


def reads_a_response(frame: FrameType) -> bool:
    return frame.f_code.co_name == "parse" and "anthropic" in Path(frame.f_code.co_filename).parts


@both
@pytest.mark.parametrize("swallowed", [False, True])
def test_a_batch_is_canceled_or_named_if_ctrl_c_comes_at_any_step_after_the_response_of_its_create(
    slow: Sandbox, swallowed: bool, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    returned: list[str] = []

    async def run() -> None:
        async with anthropic.AsyncAnthropic() as sdk, guard(sdk) as batches:
            with suppress(*[KeyboardInterrupt, asyncio.CancelledError] * swallowed):
                returned.append((await batches.create(requests=REQUESTS)).id)
            sys.settrace(None)
            if not swallowed:
                raise TroubleError

    def run_here() -> None:
        with client() as sdk, guard(sdk) as batches:
            with suppress(*[KeyboardInterrupt] * swallowed):
                returned.append(batches.create(requests=REQUESTS).id)
            sys.settrace(None)
            if not swallowed:
                raise TroubleError

    for step in count(1):
        done: list[bool] = []
        returned.clear()
        caplog.clear()
        sys.settrace(interrupting(step, done, reads_a_response))
        try:
            with suppress(TroubleError, KeyboardInterrupt):
                asyncio.run(run()) if asynchronous else run_here()
        finally:
            sys.settrace(None)
        if not done:
            break
        batch = slow.account.batches()[-1]
        assert swallowed or status(slow, batch.id) == "canceling", step
        assert returned or f"cancel-message-batch {batch.id}" in caplog.text or not swallowed, step
        assert "no response came" not in caplog.text, step
    assert step > 20


@both
def test_a_ctrl_c_before_a_create_is_sent_leaves_no_word_of_a_batch(
    slow: Sandbox, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def intends(frame: FrameType) -> bool:
        return frame.f_code.co_name == "_create"

    interrupted: list[int] = []
    for step in range(1, 13):
        sent = len(slow.journal)
        sys.settrace(interrupting(step, [], intends))
        try:
            with suppress(TroubleError, KeyboardInterrupt):
                leave(TroubleError(), asynchronous=asynchronous, last=lambda _: sys.settrace(None))
        finally:
            sys.settrace(None)
        if len(slow.journal) == sent:
            interrupted.append(step)
    assert len(interrupted) > 7
    assert "no response came" not in caplog.text
    assert record().open_intents(slow.url) == []


def test_a_second_ctrl_c_after_one_amid_a_create_waits_for_nothing_and_says_once_that_a_batch_may_exist(
    slow: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waited: list[float] = []
    sleep = time.sleep

    def wait(seconds: float) -> None:  # not that of a thread that another test has left behind
        (waited.append if sys._getframe(1).f_globals["__name__"] == block.__name__ else sleep)(seconds)

    monkeypatch.setattr("time.sleep", wait)
    told: list[int] = []

    def interrupt(_request: object) -> None:
        signal.raise_signal(signal.SIGINT)

    def cleans_up(frame: FrameType) -> bool:
        return frame.f_code.co_name == "from_sdk"

    for step in count(1):
        done: list[bool] = []
        caplog.clear()
        http = anthropic.DefaultHttpxClient(event_hooks={"request": [interrupt]})
        sys.settrace(interrupting(step, done, cleans_up))
        try:
            with anthropic.Anthropic(http_client=http) as sdk, guard(sdk, deadline=2) as batches:
                try:
                    batches.create(requests=REQUESTS)
                finally:
                    sys.settrace(None)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        if not done:
            break
        assert waited == [], step
        told.append(caplog.text.count("no response came"))
    assert len(told) > 10
    assert min(told) == 1
    assert told.count(2) <= 1  # just after the words
    assert list(slow.journal) == []


@pytest.mark.parametrize("entered", ["here", "in another thread"])
def test_a_guard_that_is_left_in_another_thread_than_it_was_entered_in_cancels(slow: Sandbox, entered: str) -> None:
    def threaded(act: Callable[[], object]) -> None:
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    error = TroubleError()
    ids: list[str] = []
    with client() as sdk:
        manager = guard(sdk)

        def enter() -> None:
            ids.append(manager.__enter__().create(requests=REQUESTS).id)

        def exit_() -> None:
            manager.__exit__(TroubleError, error, None)

        (threaded if entered != "here" else lambda act: act())(enter)
        (threaded if entered == "here" else lambda act: act())(exit_)
        assert cancels(slow) == ids
        assert f"Canceling: {ids[0]}" in error.__notes__[0]
        with guard(sdk):
            pass
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@both
@pytest.mark.parametrize(("code", "ends_well"), [(None, True), (0, True), (1, False), ("no input", False)])
def test_sys_exit_without_a_failure_is_a_normal_end(
    slow: Sandbox, code: object, ends_well: bool, asynchronous: bool
) -> None:
    with pytest.raises(SystemExit):
        leave(SystemExit(code), asynchronous=asynchronous)
    assert len(cancels(slow)) == (0 if ends_well else 1)


def test_a_break_out_of_a_generator_that_holds_a_guard_is_a_normal_end_that_says_what_is_left(
    slow: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    ids: list[str] = []

    def generator() -> Any:
        with client() as sdk, guard(sdk) as batches:
            while True:
                yield batches.create(requests=REQUESTS).id

    async def async_generator() -> Any:
        async with anthropic.AsyncAnthropic() as sdk, guard(sdk) as batches:
            while True:
                yield (await batches.create(requests=REQUESTS)).id

    async def loop() -> None:
        async for name in async_generator():
            ids.append(name)
            break

    for name in generator():
        ids.append(name)
        break
    asyncio.run(loop())
    assert cancels(slow) == []
    assert list(record().left_behind(slow.url)) == []
    for name, text in zip(ids, caplog.messages, strict=True):
        assert text.startswith("The guarded block was closed from outside: by a `break` or an exception")
        assert text.endswith(f"To cancel: `cancel-message-batch {name}`")
    assert [one.path for one in slow.journal] == ["/v1/messages/batches"] * 2


async def canceled_always() -> AsyncGenerator[str, None]:
    async with anthropic.AsyncAnthropic() as sdk, guard(sdk, cancel="always") as batches:
        while True:
            yield (await batches.create(requests=REQUESTS)).id


@pytest.mark.parametrize("how", ["break", "break and go on", "aclose"])
def test_an_async_generator_that_is_closed_cancels_what_is_to_be_canceled_always(
    slow: Sandbox, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def loop() -> None:
        opened = canceled_always()
        async for _ in opened:
            break
        if how == "aclose":
            await opened.aclose()
        del opened
        while how == "break and go on" and not cancels(slow):  # noqa: ASYNC110 - the sandbox is in another thread
            await asyncio.sleep(0.01)

    asyncio.run(loop())
    assert len(cancels(slow)) == 1
    assert len(caplog.messages) == 1  # asyncio would log an exception at its shutdown
    assert "Canceling: " in caplog.messages[0]


@pytest.mark.parametrize("answered_after", ["the loop's last task", "the loop"])
def test_a_guard_that_outlives_the_task_of_a_loop_leaves_ctrl_c_as_it_was_before_the_loop(
    slow: Sandbox, answered_after: str
) -> None:
    if answered_after == "the loop":
        slow.fail(Fault(match="cancel", delay=0.5))

    async def loop() -> None:
        opened = canceled_always()
        async for _ in opened:
            break
        del opened
        while slow.journal[-1].path.endswith("batches"):  # noqa: ASYNC110 - the sandbox is in another thread
            await asyncio.sleep(0.01)

    for _ in range(2):
        asyncio.run(loop())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len(set(cancels(slow))) == 2


def test_a_coroutine_that_is_thrown_away_says_that_nothing_could_be_canceled_and_what_is_left(
    slow: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    ids: list[str] = []

    async def work(created: asyncio.Event) -> None:
        async with anthropic.AsyncAnthropic() as sdk, guard(sdk, cancel="always") as batches:
            ids.append((await batches.create(requests=REQUESTS)).id)
            created.set()
            await asyncio.Future()

    async def loop() -> None:
        created = asyncio.Event()
        coroutine = work(created)
        task = asyncio.create_task(coroutine)
        await created.wait()
        with pytest.raises(RuntimeError):  # the SDK's client cannot close itself there either
            coroutine.close()
        task.cancel()
        await asyncio.wait([task])
        task.exception()

    asyncio.run(loop())
    assert cancels(slow) == []
    assert "because the block was closed where nothing can wait for it." in caplog.messages[0]
    assert f"To cancel: `cancel-message-batch {ids[0]}`" in caplog.messages[0]
    assert list(record().left_behind(slow.url)) == ids


@pytest.mark.parametrize(
    ("cancel", "how", "left"),
    [
        ("on_error", "sys.exit(3)", False),
        ("always", "sys.exit(3)", True),
        ("on_error", "raise ValueError", True),
    ],
)
def test_a_suspended_generator_neither_holds_the_process_nor_changes_its_exit_code(
    slow: Sandbox, cancel: str, how: str, left: bool
) -> None:
    program = [sys.executable, "-c", SUSPENDED, cancel, how]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    name = done.stdout.strip()
    assert done.returncode == (3 if "exit" in how else 1), done.stderr
    assert "Exception ignored" not in done.stderr
    assert status(slow, name) == "in_progress"
    assert list(record().left_behind(slow.url)) == ([name] if left else [])
    assert ("because the block was still open when the program ended." in done.stderr) == left
    assert ("The guarded block was closed from outside" in done.stderr) != left
    assert f"To cancel: `cancel-message-batch {name}`" in done.stderr


def test_requests_that_a_thread_still_reads_while_the_guard_is_left_are_not_sent(slow: Sandbox) -> None:
    reading, go_on = threading.Event(), threading.Event()
    refused: list[RuntimeError] = []

    def requests() -> Any:
        yield REQUESTS[0]
        reading.set()
        go_on.wait(20)
        yield REQUESTS[1]

    def create() -> None:
        try:
            batches.create(requests=requests())
        except RuntimeError as error:
            refused.append(error)

    thread = threading.Thread(target=create)
    with fails(), client() as sdk, guard(sdk) as batches:
        thread.start()
        until(reading.is_set)
        raise TroubleError
    go_on.set()
    thread.join()
    assert "nothing was sent" in str(refused[0])
    assert list(slow.journal) == []
