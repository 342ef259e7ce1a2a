"""Whatever the sandbox lets go wrong: a call ends in time, with a batch or an error of ours, and both are true."""

import pytest

from cancel_message_batch import MessageBatchError, MessageBatches
from cancel_message_batch.sandbox import FAULTS, Account, Sandbox
from tests.conftest import KEY


@pytest.mark.parametrize("name", FAULTS)
def test_a_cancel_says_canceling_only_if_the_batch_is(name: str) -> None:
    with Sandbox(account=Account(speed=1)) as sandbox:
        batch_id = sandbox.account.add(10)
        sandbox.fault(name, times=0, **({"operation": "cancel"} if name != "refused" else {}))
        with MessageBatches(base_url=sandbox.url, api_key=KEY, timeout=1.0) as batches:
            try:
                said = batches.cancel(batch_id).processing_status
            except MessageBatchError as error:
                said = str(error)
        is_canceling = sandbox.account.get(batch_id).status(sandbox.account.now()) == "canceling"
        assert said != "canceling" or is_canceling
        assert said
