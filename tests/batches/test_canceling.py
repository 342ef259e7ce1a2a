"""Canceling many batches at once, mostly through the command line."""

from typing import Any

import anyio
import pytest

from cancel_message_batch import AsyncMessageBatches
from cancel_message_batch.api.retries import RetryPolicy
from cancel_message_batch.batches.canceling import Progress, cancel_many
from cancel_message_batch.record.cancels import CancelNotes
from cancel_message_batch.sandbox import Account, Fault, Sandbox
from cancel_message_batch.tools import sorted_outcomes
from cancel_message_batch.words import states
from tests.conftest import Run, cancels, described, running


def test_a_thousand_batches_are_each_canceled_once_though_every_tenth_request_is_refused(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    with Sandbox(account=Account(), limit_every=10) as sandbox:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", sandbox.url)
        ids = [sandbox.account.add(requests=1_000, age=60, status="in_progress") for _ in range(150)]
        done = run("-", "--yes", stdin="\n".join(ids))
        assert done.returncode == 0
        accepted = [e.path.split("/")[-2] for e in sandbox.journal if e.path.endswith("/cancel") and e.status == 200]
        assert sorted(accepted) == sorted(ids)
        assert sum(exchange.status == 429 for exchange in sandbox.journal) >= 15
        assert len(done.stdout.splitlines()) == len(ids)
        assert "150 canceling" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [(("--max-retries", "0"), {"retry-after-ms": "1"}), ((), {"retry-after": "1", "x-should-retry": "false"})],
    ids=["max-retries", "x-should-retry"],
)
def test_many_cancels_are_not_repeated_against_the_word_of_anybody(
    sandbox: Sandbox, run: Run, arguments: tuple[str, ...], headers: dict[str, str]
) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers=headers))
    ids = running(sandbox, 3)
    assert run(*ids, *arguments).returncode == 1
    assert sorted(cancels(sandbox)) == sorted(ids)


def test_many_cancels_do_not_flood_an_api_that_asks_for_next_to_no_pause(sandbox: Sandbox, run: Run) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers={"retry-after-ms": "1"}))
    assert run(*running(sandbox, 2), "--timeout", "4s", "--max-retries", "1").returncode == 1
    assert len(cancels(sandbox)) <= 2 * 2 * 4


def test_a_batch_that_stands_on_two_pages_is_canceled_once(sandbox: Sandbox, run: Run) -> None:
    new, old = running(sandbox, 2)
    for page in ([new, old], [old]):
        cursor = {"has_more": len(page) == 2, "last_id": page[-1]}
        sandbox.fail(Fault(match="GET", body={"data": [described(name) for name in page], **cursor}))
    assert run("--all", "--yes").returncode == 0
    assert sorted(cancels(sandbox)) == sorted([new, old])


def test_an_unexpected_error_with_one_batch_leaves_the_others_canceled_and_reported(
    sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = states.cancel_result

    def broken(batch: Any, took: float = 0.0) -> Any:
        return 1 / 0 if batch.id == ids[0] else real(batch, took)

    ids = running(sandbox, 3)
    monkeypatch.setattr(states, "cancel_result", broken)
    said = run(*ids)
    assert said.returncode == 4
    assert sorted(said.stdout.split("\n")) == ["", *sorted(f"{name} canceling" for name in ids[1:])]
    assert "ZeroDivisionError" in said.stderr
    assert f"It is not known whether the cancellation of {ids[0]} was accepted" in said.stderr
    assert "2 canceling" in said.stderr


def test_the_outcome_of_a_cancel_that_is_cut_off_in_its_second_attempt_is_unknown(sandbox: Sandbox) -> None:
    """As `run` cuts it off at its deadline."""
    [name] = running(sandbox, 1)
    sandbox.fail(Fault(match="cancel", status=429, headers={"retry-after-ms": "1"}))
    sandbox.fail(Fault(match="cancel", hang=True, after=True))
    progress, notes = Progress(), CancelNotes("run", warn=pytest.fail)

    async def cut_off() -> None:
        with anyio.fail_after(30):
            async with AsyncMessageBatches() as client, anyio.create_task_group() as tasks:

                async def cancel() -> None:
                    await cancel_many(client, [name], print, policy=RetryPolicy(), progress=progress, notes=notes)

                tasks.start_soon(cancel)
                while len(cancels(sandbox)) < 2:  # noqa: ASYNC110 - the sandbox has no event to wait for
                    await anyio.sleep(0.02)
                tasks.cancel_scope.cancel()

    anyio.run(cut_off)
    canceling, ended, failed = sorted_outcomes([name], progress.outcomes, progress.sent, progress.last_errors())
    assert canceling == ended == []
    assert f"It is not known whether the cancellation of {name} was accepted" in failed[name]
