"""`Consent`: the rule of `ask` and `chat` for somebody's own loop."""

import asyncio
import subprocess
import sys

from cancel_message_batch import Consent, MessageBatch
from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.tools import CANCEL
from tests.conftest import cancels, running


def test_consent_ends_with_the_persons_next_message(sandbox: Sandbox) -> None:
    named, other = running(sandbox, 2)
    asked: list[str] = []

    def no(batch: MessageBatch) -> bool:
        asked.append(batch.id)
        return False

    consent = Consent(no)
    consent.person_said(f"Cancel {named}.")
    for _ in range(2):  # asked once for each message
        assert CANCEL.run({"message_batch_id": other}, approve=consent).declined
    consent.person_said("thanks")
    for name in (named, other):
        assert CANCEL.run({"message_batch_id": name}, approve=consent).declined
    assert asked == [other, named, other]
    assert cancels(sandbox) == []
    consent.person_said(f"Cancel {named}.")
    assert CANCEL.run({"message_batch_id": named}, approve=consent).result == "canceling"
    assert cancels(sandbox) == [named]


def test_a_message_that_may_not_be_the_persons_own_order_names_no_batch(sandbox: Sandbox) -> None:
    (named,) = running(sandbox, 1)
    consent = Consent()
    consent.person_said(f"Cancel {named}.", may_order=False)
    assert consent.words == f"Cancel {named}."
    assert CANCEL.run({"message_batch_id": named}, approve=consent).declined
    assert cancels(sandbox) == []


def test_without_somebody_to_ask_only_what_was_named_is_canceled(sandbox: Sandbox) -> None:
    named, allowed, other = running(sandbox, 3)
    consent = Consent(may_cancel=[allowed])
    consent.person_said(f"Cancel {named}.")
    for name in (other, named, allowed):
        CANCEL.run({"message_batch_id": name}, approve=consent)
    assert cancels(sandbox) == [named, allowed]


def test_a_coroutine_function_can_ask_in_an_async_loop(sandbox: Sandbox) -> None:
    yes, no = running(sandbox, 2)

    async def ask(batch: MessageBatch) -> bool:
        await asyncio.sleep(0)
        return batch.id == yes

    async def both() -> list[bool]:
        consent = Consent(ask)
        consent.person_said("cancel my batches")
        outcomes = [await CANCEL.run_async({"message_batch_id": name}, approve=consent) for name in (yes, no, no)]
        return [outcome.declined for outcome in outcomes]

    assert asyncio.run(both()) == [False, True, True]
    assert cancels(sandbox) == [yes]


def test_the_rule_needs_no_sdk() -> None:
    code = "import sys, cancel_message_batch as c; c.Consent; sys.exit(bool({'anthropic', 'sqlite3'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
