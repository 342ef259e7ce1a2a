"""The guard's cancels: tried until the deadline, and what is said of one that was not confirmed is true."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from cancel_message_batch.sandbox import Fault, Sandbox
from tests.conftest import cancels, described

from .gate import Gate
from .programs import fail, record, status

both = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
AT_ONCE = {"retry-after-ms": "1"}


@pytest.fixture
def gate(slow: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    passing = Gate(slow.url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", passing.url)
    yield passing
    passing.close()


class Told(logging.Handler):
    """Does something once the guard says that it is trying again."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._acts = [act]

    def emit(self, entry: logging.LogRecord) -> None:
        if entry.getMessage().startswith("Not canceled yet") and self._acts:
            self._acts.pop()()


@contextmanager
def once_it_waits(act: Callable[[], object]) -> Iterator[None]:
    logger, handler = logging.getLogger("cancel_message_batch.guard"), Told(act)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@both
def test_a_batch_is_canceled_once_the_api_can_be_reached_again(
    gate: Gate, slow: Sandbox, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with once_it_waits(gate.open):
        name, note = fail(asynchronous=asynchronous, last=lambda _: gate.close(), deadline=60)
    assert cancels(slow) == [name]
    assert f"Canceling: {name}" in note
    waiting = caplog.records[0]
    assert waiting.levelno == logging.WARNING
    assert waiting.getMessage().startswith("Not canceled yet: The API cannot be reached")
    assert "Trying again for up to" in waiting.getMessage()
    assert len(caplog.records) == 2  # the same trouble is told once


@both
@pytest.mark.parametrize("status_code", [408, 409, 429, 500, 503, 529])
def test_a_cancel_is_tried_until_the_api_accepts_it(slow: Sandbox, status_code: int, asynchronous: bool) -> None:
    trouble = Fault(match="cancel", times=6, status=status_code, headers=AT_ONCE)
    name, note = fail(asynchronous=asynchronous, last=lambda _: slow.fail(trouble))
    assert cancels(slow) == [name] * 7
    assert f"Canceling: {name}" in note
    assert status(slow, name) == "canceling"


@both
def test_a_conflict_over_a_batch_that_has_ended_holds_no_program(slow: Sandbox, asynchronous: bool) -> None:
    def conflict(name: str) -> None:
        slow.account.get(name).work_end = 0
        slow.fail(Fault(match="cancel", times=0, status=409))

    name, note = fail(asynchronous=asynchronous, last=conflict, deadline=3600)
    assert cancels(slow) == [name]
    assert f"Ended: {name}" in note


@both
def test_a_response_that_never_comes_does_not_use_up_the_whole_deadline(slow: Sandbox, asynchronous: bool) -> None:
    silence = Fault(match="cancel", hang=True)
    name, note = fail(asynchronous=asynchronous, last=lambda _: slow.fail(silence), deadline=15)
    assert cancels(slow) == [name] * 2
    assert f"Canceling: {name}" in note


@both
@pytest.mark.parametrize(
    "first",
    [Fault(match="cancel", status=500, headers=AT_ONCE), Fault(match="cancel", drop=True)],
    ids=["server error", "cut"],
)
@pytest.mark.parametrize("then", [401, 404, 429])
def test_a_cancel_that_may_have_arrived_is_never_reported_as_not_sent(
    slow: Sandbox, first: Fault, then: int, asynchronous: bool
) -> None:
    def trouble(_: str) -> None:
        slow.fail(replace(first))
        slow.fail(Fault(match="cancel", times=0, status=then, headers={"retry-after": "100"}))
        slow.fail(Fault(match="GET */batches/*", times=0, status=401))  # a look at it is refused

    name, note = fail(asynchronous=asynchronous, last=trouble)
    assert cancels(slow) == [name] * 2
    assert f"It is not known whether the cancellation of {name} was accepted" in note
    assert "was not canceled" not in note
    assert "nothing was canceled" not in note
    assert f"To cancel: `cancel-message-batch {name}`" in note
    assert name in record().left_behind(slow.url)


@both
@pytest.mark.parametrize(
    "lost",
    [Fault(match="cancel", status=504, after=True), Fault(match="cancel", drop=True, after=True)],
    ids=["server error", "cut"],
)
def test_a_look_at_the_batch_shows_that_a_cancel_without_a_response_was_accepted(
    slow: Sandbox, lost: Fault, asynchronous: bool
) -> None:
    name, note = fail(asynchronous=asynchronous, last=lambda _: slow.fail(replace(lost)))
    assert cancels(slow) == [name]
    assert f"Canceling: {name}" in note
    assert name not in record().left_behind(slow.url)


@both
def test_a_cancel_that_leaves_the_batch_running_is_told_as_not_confirmed(slow: Sandbox, asynchronous: bool) -> None:
    def unmoved(name: str) -> None:
        counts = dict.fromkeys(("canceled", "errored", "expired", "processing", "succeeded"), 1)
        body = described(name, type="message_batch", request_counts=counts)  # the SDK leaves out nothing
        slow.fail(Fault(match="cancel", times=0, status=200, body=body))

    name, note = fail(asynchronous=asynchronous, last=unmoved)
    assert f"The cancellation of message batch {name} is not confirmed" in note
    assert "Canceling" not in note
    assert name in record().left_behind(slow.url)


@both
def test_a_credential_that_a_response_repeats_is_masked_wherever_it_is_told(
    slow: Sandbox, asynchronous: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "team-a-secret-4711-wxyz"
    monkeypatch.setenv("ANTHROPIC_API_KEY", secret)
    body = {
        "type": "error",
        "error": {"type": "permission_error", "message": f"{secret} may not, nor sk-ant-api03-abcdefgh"},
    }
    refusal = Fault(match="cancel", times=0, status=403, body=body)
    name, note = fail(asynchronous=asynchronous, last=lambda _: slow.fail(refusal))
    kept = str(record().history(name))
    for told in (note, caplog.text, kept):
        assert "…wxyz may not, nor …efgh" in told
        assert secret not in told
        assert "sk-ant" not in told
