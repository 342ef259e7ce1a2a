"""The guard: what a program created is canceled when the program dies, and nothing else ever is."""

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from typing import Any

import anthropic
import anyio
import pytest

from cancel_message_batch import InvalidInputError, guard
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.sandbox.simulated_batch import DEFAULT_WORKSPACE
from tests.conftest import cancels

from .programs import REQUESTS, Program, TroubleError, client, fails, record, status, until


@pytest.mark.parametrize(
    ("kind", "sent", "code", "why"),
    [
        ("sync", signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt"),
        ("sync", signal.SIGTERM, -signal.SIGTERM, "SIGTERM"),
        ("sync in async", signal.SIGTERM, -signal.SIGTERM, "SIGTERM"),
        ("two tasks", signal.SIGTERM, -signal.SIGTERM, "SIGTERM"),
        ("sync", None, 1, "ZeroDivisionError"),
        ("async", None, 1, "ZeroDivisionError"),
    ],
)
def test_a_program_that_dies_leaves_each_batch_canceling_by_exactly_one_cancel(
    slow: Sandbox, kind: str, sent: int | None, code: int, why: str
) -> None:
    program = Program(kind, "wait" if sent else "raise")
    if sent:
        program.send(sent)
    ended, errors = program.end()
    assert ended == code, errors
    assert sorted(cancels(slow)) == sorted(program.ids)
    for one in program.ids:
        assert status(slow, one) == "canceling"
        assert f'The guarded block of "nightly eval" ended with {why}.\nCanceling: {one}. ' in errors
        assert f"To wait until stopped: `cancel-message-batch wait {one}`" in errors


def test_a_batch_is_in_the_record_before_its_program_knows_it_and_its_cancel_afterwards(slow: Sandbox) -> None:
    program = Program("async", "wait")
    known = record().known(program.ids[0])
    slow.fail(Fault(match="cancel", delay=0.5))
    program.send(signal.SIGINT)
    until(lambda: cancels(slow))
    program.send(signal.SIGINT)  # is ignored
    ended, errors = program.end()
    assert ended == -signal.SIGINT, errors
    assert known
    assert (known.name, known.requests, known.workspace) == ("nightly eval", 3, DEFAULT_WORKSPACE)
    assert known.process
    assert known.process.pid == program.process.pid
    done = [(entry.through, entry.what, entry.words, entry.answer) for entry in record().history(program.ids[0])]
    assert done == [("guard", "cancel", "CancelledError", "canceling"), ("guard", "create", None, None)]
    assert cancels(slow) == program.ids


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_waits_until_the_cancel_is_answered(slow: Sandbox, second: int) -> None:
    program = Program("sync", "wait")
    slow.fail(Fault(match="cancel", delay=0.5))
    program.send(signal.SIGINT)
    until(lambda: cancels(slow))
    program.send(second)
    ended, errors = program.end()
    assert ended == -second, errors
    assert cancels(slow) == program.ids
    assert f"Canceling: {program.ids[0]}" in errors


def test_a_process_that_ends_at_once_cancels_nothing_and_the_record_finds_its_batch(slow: Sandbox) -> None:
    program = Program("sync", "_exit")
    assert program.end()[0] == 4
    assert cancels(slow) == []
    assert list(record().left_behind(slow.url)) == program.ids


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_that_dies_cancels_what_it_created_itself_and_nothing_of_its_parent(slow: Sandbox) -> None:
    program = Program("sync", "children die")
    assert program.process.stdout
    own = program.process.stdout.readline().strip()
    ended, errors = program.end()
    assert ended == 0, errors
    assert re.findall("child: (.+)", errors) == ["5", "-15", "-15"]
    assert cancels(slow) == [own]


@pytest.mark.parametrize("hanging", ["POST */cancel", "*"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_an_api_that_hangs_holds_a_program_only_until_the_deadline(
    slow: Sandbox, hanging: str, asynchronous: bool
) -> None:
    async def run() -> None:
        async with anthropic.AsyncAnthropic() as sdk, guard(sdk, deadline=0.5) as batches:
            await batches.create(requests=REQUESTS)
            slow.fail(Fault(match=hanging, times=0, hang=True))
            raise TroubleError

    with fails() as notes:
        if asynchronous:
            anyio.run(run)
        else:
            with client() as sdk, guard(sdk, deadline=0.5) as batches:
                batches.create(requests=REQUESTS)
                slow.fail(Fault(match=hanging, times=0, hang=True))
                raise TroubleError
    (name,) = cancels(slow)
    assert f"It is not known whether the cancellation of {name} was accepted" in notes[0]
    assert f"To cancel: `cancel-message-batch {name}`" in notes[0]


def test_a_batch_that_another_thread_creates_too_slowly_is_reported_with_the_command_that_cancels_it(
    slow: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    ids: list[str] = []
    slow.fail(Fault(match="POST */batches", delay=0.6))
    with fails() as notes, guard(client(), deadline=0.2) as batches:
        thread = threading.Thread(target=lambda: ids.append(batches.create(requests=REQUESTS).id))
        thread.start()
        until(lambda: slow.journal)
        raise TroubleError
    assert "batch of 3 requests was sent at" in notes[0]
    thread.join()
    assert f"{ids[0]} was not canceled" in caplog.messages[-1]
    assert f"To cancel: `cancel-message-batch {ids[0]}`" in caplog.messages[-1]


def test_a_batch_created_by_others_or_outside_the_guard_is_not_touched(slow: Sandbox) -> None:
    with fails(), client() as sdk, guard(sdk) as batches:
        mine = batches.create(requests=REQUESTS)
        beside = sdk.messages.batches.create(requests=REQUESTS)
        raise TroubleError
    assert cancels(slow) == [mine.id]
    assert status(slow, beside.id) == "in_progress"


def test_a_block_that_ends_well_cancels_nothing_unless_always_is_asked_for(slow: Sandbox) -> None:
    with client() as sdk:
        with guard(sdk) as batches:
            batches.create(requests=REQUESTS)
        assert cancels(slow) == []
        with guard(sdk, cancel="always") as batches:
            created = batches.create(requests=REQUESTS)
    assert cancels(slow) == [created.id]


@pytest.mark.parametrize("answered", [False, True], ids=["a cancel after the end is refused", "is answered"])
def test_what_has_ended_or_is_canceling_is_reported_as_that_and_not_as_a_failure(slow: Sandbox, answered: bool) -> None:
    with fails() as notes, client() as sdk, guard(sdk) as batches:
        ended, canceling, running = [batches.create(requests=REQUESTS).id for _ in range(3)]
        slow.account.get(ended).work_end = 0
        if answered:
            slow.fail(Fault(match=f"*{ended}/cancel", body=batches.retrieve(ended).model_dump(mode="json")))
        batches.cancel(canceling)
        raise TroubleError
    assert sorted(cancels(slow)) == sorted([canceling, canceling, ended, running])
    (note,) = notes
    assert note.startswith("The guarded block ended with TroubleError.\n")
    assert f"\nCanceling: {canceling} {running}. " in note
    assert f"\nEnded: {ended}." in note
    known = record().known(ended)
    assert known
    assert known.ended


def test_what_cannot_be_canceled_is_reported_with_the_reason_and_the_command(
    slow: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    slow.fail(Fault(match="cancel", times=0, status=500))
    with fails() as notes, client() as sdk, guard(sdk, deadline=1) as batches:
        created = batches.create(requests=REQUESTS)
        raise TroubleError
    (note,) = notes
    assert "The API failed (500" in note
    assert f"To cancel: `cancel-message-batch {created.id}`" in note
    assert caplog.messages[1:] == [note]
    assert (caplog.records[1].name, caplog.records[1].levelno) == ("cancel_message_batch.guard", logging.ERROR)
    assert str(record().history(created.id)[0].answer).startswith("the API answered 500")


SOON = {"retry-after-ms": "1"}


@pytest.mark.parametrize(
    "trouble",
    [Fault(status=429, headers=SOON), Fault(status=500, headers=SOON), Fault(drop=True)],
    ids=["429", "500", "cut"],
)
def test_a_refused_cancel_is_repeated_and_the_batch_stops(slow: Sandbox, trouble: Fault) -> None:
    with fails() as notes, client() as sdk, guard(sdk) as batches:
        created = batches.create(requests=REQUESTS)
        slow.fail(trouble)
        raise TroubleError
    assert cancels(slow) == [created.id] * 2
    assert f"Canceling: {created.id}" in notes[0]


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        (Fault(status=429), False),
        (Fault(status=400), False),
        (Fault(status=529), False),
        (Fault(status=500), True),
        (Fault(drop=True, after=True), True),
        (Fault(cut=20, after=True, body="{" + " " * 50), True),
        (Fault(body="not a batch", content_type="text/plain"), True),
    ],
    ids=["429", "400", "overloaded", "500", "dropped", "cut", "not the API"],
)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_creation_whose_answer_is_lost_is_reported_and_a_refused_one_is_not(
    slow: Sandbox, fault: Fault, lost: bool, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    fault.match = "POST */batches"
    slow.fail(fault)
    raised: list[Exception] = []

    async def asynchronously() -> None:
        async with anthropic.AsyncAnthropic(max_retries=0) as sdk, guard(sdk) as batches:
            await batches.create(requests=REQUESTS)

    try:
        if asynchronous:
            anyio.run(asynchronously)
        else:
            with anthropic.Anthropic(max_retries=0) as sdk, guard(sdk) as batches:
                batches.create(requests=REQUESTS)
    except anthropic.APIError as error:
        raised.append(error)
    told = [text for text in caplog.messages if "batch of 3 requests was sent at" in text]
    assert bool(told) is lost
    assert all("`cancel-message-batch list`" in text for text in told)
    assert all(getattr(error, "__notes__", []) == told for error in raised)
    assert raised or "not the API" in os.environ["PYTEST_CURRENT_TEST"]
    assert cancels(slow) == []


def test_a_creation_that_is_interrupted_is_reported_as_one_that_may_exist(
    slow: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    slow.fail(Fault(match="POST */batches", hang=True))

    async def run() -> None:
        async with anthropic.AsyncAnthropic() as sdk, guard(sdk) as batches:
            with anyio.move_on_after(0.2):
                await batches.create(requests=REQUESTS)

    anyio.run(run)
    assert "no response came. The batch may exist" in caplog.text


def test_batches_created_at_once_in_threads_are_all_canceled(slow: Sandbox) -> None:
    def create() -> None:
        ids.append(batches.create(requests=REQUESTS).id)

    ids: list[str] = []
    with fails(), client() as sdk, guard(sdk) as batches:
        threads = [threading.Thread(target=create) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        raise TroubleError
    assert len(ids) == 5
    assert sorted(cancels(slow)) == sorted(ids)


def test_a_batch_that_another_thread_is_just_creating_is_waited_for_and_canceled(slow: Sandbox) -> None:
    ids: list[str] = []
    slow.fail(Fault(match="POST */batches", delay=0.4))
    with fails() as notes, client() as sdk, guard(sdk) as batches:
        thread = threading.Thread(target=lambda: ids.append(batches.create(requests=REQUESTS).id))
        thread.start()
        until(lambda: slow.journal)
        raise TroubleError
    thread.join()
    assert cancels(slow) == ids
    assert f"Canceling: {ids[0]}" in notes[0]
    with pytest.raises(RuntimeError, match="nothing was sent"):
        batches.create(requests=REQUESTS)


def test_a_guard_in_another_thread_cancels_too(slow: Sandbox) -> None:
    def run() -> None:
        with fails() as notes, client() as sdk, guard(sdk) as batches:
            batches.create(requests=REQUESTS)
            raise TroubleError
        assert notes
        done.append(True)

    done: list[bool] = []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done
    assert len(cancels(slow)) == 1


def test_the_handlers_of_the_signals_are_put_back_and_a_program_keeps_its_own(slow: Sandbox) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with fails(), client() as sdk, guard(sdk) as batches:
        assert signal.getsignal(signal.SIGTERM) != before[1]
        batches.create(requests=REQUESTS)
        raise TroubleError
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before

    def own(*_: object) -> None:
        pass

    signal.signal(signal.SIGTERM, own)
    try:
        with client() as sdk, guard(sdk):
            assert signal.getsignal(signal.SIGTERM) is own
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before[1])


def test_a_cancellation_of_the_task_while_it_cancels_does_not_keep_the_batch_running(slow: Sandbox) -> None:
    slow.fail(Fault(match="cancel", delay=0.3))

    async def run() -> None:
        async with anthropic.AsyncAnthropic() as sdk, guard(sdk, cancel="always") as batches:
            await batches.create(requests=REQUESTS)

    async def main() -> None:
        task = asyncio.create_task(run())
        await asyncio.to_thread(until, lambda: cancels(slow))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert status(slow, cancels(slow)[0]) == "canceling"


@pytest.mark.parametrize("how", ["with_raw_response", "with_streaming_response"])
def test_a_batch_created_through_the_raw_response_is_watched_too(slow: Sandbox, how: str) -> None:
    with fails(), client() as sdk, guard(sdk) as batches:
        if how == "with_raw_response":
            response = batches.with_raw_response.create(requests=REQUESTS)
            created = response.parse()
        else:
            with batches.with_streaming_response.create(requests=REQUESTS) as streamed:
                created = streamed.parse()
                assert json.loads(streamed.read())["id"] == created.id
        raise TroubleError
    assert cancels(slow) == [created.id]


@pytest.mark.parametrize("how", ["with_raw_response", "with_streaming_response", "beta"])
def test_an_async_client_has_the_same_ways_to_create(slow: Sandbox, how: str) -> None:
    ids: list[str] = []

    async def run() -> None:
        async with anthropic.AsyncAnthropic() as sdk:
            resource: Any = sdk.beta.messages.batches if how == "beta" else sdk
            async with guard(resource) as batches:
                if how == "with_streaming_response":
                    async with batches.with_streaming_response.create(requests=REQUESTS) as streamed:
                        ids.append((await streamed.parse()).id)
                elif how == "with_raw_response":
                    ids.append(
                        json.loads((await batches.with_raw_response.create(requests=REQUESTS)).http_response.text)["id"]
                    )
                else:
                    ids.append((await batches.create(requests=REQUESTS)).id)
                raise TroubleError

    with pytest.raises(TroubleError):
        anyio.run(run)
    assert cancels(slow) == ids


def test_the_beta_resource_and_everything_else_of_the_resource_pass_through(slow: Sandbox) -> None:
    with fails(), client() as sdk, guard(sdk.beta.messages.batches) as batches:
        created = batches.create(requests=REQUESTS, betas=["files-api-2025-04-14"])
        assert isinstance(batches, type(sdk.beta.messages.batches))
        assert batches.retrieve(created.id).id == created.id
        assert created.id in {batch.id for batch in batches.list()}
        raise TroubleError
    assert cancels(slow) == [created.id]


@pytest.mark.parametrize("beta", [False, True], ids=["messages", "beta"])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_code_that_takes_a_client_is_guarded_until_the_end_of_the_block(
    slow: Sandbox, beta: bool, asynchronous: bool
) -> None:
    ids: list[str] = []

    async def run() -> None:
        async with anthropic.AsyncAnthropic() as sdk:
            messages: Any = sdk.beta.messages if beta else sdk.messages
            with contextlib.suppress(TroubleError):
                async with guard(messages.batches if beta else sdk) as batches:
                    messages.batches = batches
                    ids.append((await messages.batches.create(requests=REQUESTS)).id)
                    raise TroubleError
            await messages.batches.create(requests=REQUESTS)
            assert not hasattr(messages.batches, "keep")

    if asynchronous:
        anyio.run(run)
    else:
        with client() as sdk:
            messages: Any = sdk.beta.messages if beta else sdk.messages
            with contextlib.suppress(TroubleError), guard(messages.batches if beta else sdk) as batches:
                messages.batches = batches
                ids.append(messages.batches.create(requests=REQUESTS).id)
                raise TroubleError
            messages.batches.create(requests=REQUESTS)
            assert not hasattr(messages.batches, "keep")
    assert cancels(slow) == ids


def test_only_what_was_created_through_a_guard_can_be_kept_by_it(slow: Sandbox) -> None:
    with client() as sdk, guard(sdk) as batches:
        other = sdk.messages.batches.create(requests=REQUESTS)
        with pytest.raises(InvalidInputError, match="was not created through this guard"):
            batches.keep(other.id)


def test_a_block_of_trio_that_fails_cancels_what_it_created(slow: Sandbox) -> None:
    trio = pytest.importorskip("trio")  # the environment of the lowest versions has none
    ids: list[str] = []
    slow.fail(Fault(match="cancel", status=503, headers={"retry-after-ms": "1"}))

    async def run() -> None:
        async with anthropic.AsyncAnthropic() as sdk, guard(sdk) as batches:
            ids.append((await batches.create(requests=REQUESTS)).id)
            with trio.CancelScope() as scope:
                scope.cancel()
                await trio.sleep(30)
            raise TroubleError

    with fails() as notes:
        trio.run(run)
    assert cancels(slow) == ids * 2
    assert f"Canceling: {ids[0]}" in notes[0]


def test_a_cancel_goes_to_the_workspace_and_with_the_headers_of_its_creation(slow: Sandbox) -> None:
    headers = {"anthropic-workspace-id": "wrkspc_other", "Idempotency-Key": "only-once", "x-gateway": "team-a"}
    with fails(), client() as sdk, guard(sdk) as batches:
        batches.create(requests=REQUESTS, extra_headers=headers)
        raise TroubleError
    (cancel,) = [exchange for exchange in slow.journal if exchange.path.endswith("/cancel")]
    assert (cancel.headers["anthropic-workspace-id"], cancel.headers["x-gateway"]) == ("wrkspc_other", "team-a")
    assert "idempotency-key" not in cancel.headers


def test_requests_without_the_usual_form_are_created_as_the_api_takes_them(slow: Sandbox) -> None:
    odd: list[Any] = [{"custom_id": "a", "params": {"model": ["x"]}}, {"custom_id": "b", "params": {}}]
    with client() as sdk, guard(sdk) as batches:
        created = batches.create(requests=odd)
    known = record().known(created.id)
    assert known
    assert known.requests == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"name": "x" * 10_000}, InvalidInputError),
        ({"name": "msgbatch_013Zva2CMHLNnXjNJJKqJ2EF"}, InvalidInputError),
        ({"cancel": "never"}, InvalidInputError),
        ({"deadline": 0}, InvalidInputError),
        ({"deadline": float("nan")}, InvalidInputError),
        ({"deadline": float("inf")}, InvalidInputError),
        ({"deadline": "10"}, InvalidInputError),
        ({"client": object()}, TypeError),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_created(
    slow: Sandbox, options: dict[str, Any], error: type[Exception]
) -> None:
    with client() as sdk, pytest.raises(error):
        guard(**{"client": sdk, **options})


def test_the_guard_is_there_without_the_sdk_being_imported() -> None:
    code = "import sys\nfrom cancel_message_batch import guard\nassert 'anthropic' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
