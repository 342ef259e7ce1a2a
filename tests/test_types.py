"""What a type checker tells the users of the package."""

import subprocess
import sys
from pathlib import Path

from .conftest import ROOT

SNIPPET = """
import anthropic
from cancel_message_batch import MessageBatch, MessageBatches, cancel_message_batch, guard, results_function
from cancel_message_batch import Conversation
from cancel_message_batch import MesageBatches

with MessageBatches(api_key="key") as batches:
    batch: MessageBatch = batches.cancel("msgbatch_a")
    for listed in batches.list(limit=5):
        reveal_type(listed)
    reveal_type(batch.request_counts.total)
    batches.cancle(5)
    batches.cancel(5)
reveal_type(cancel_message_batch("msgbatch_a"))
reveal_type(results_function("saved")("msgbatch_a"))
results_function(5)
Conversation.speak

with guard(anthropic.Anthropic(), name="nightly eval") as guarded:
    created = guarded.create(requests=[])
    reveal_type(created)
    guarded.keep(created.id)
    guarded.keep(created)
with guard(anthropic.Anthropic().beta.messages.batches, cancel="always", deadline=5) as beta:
    reveal_type(beta.create(requests=[]))
with guard(anthropic.AsyncAnthropic()):
    pass
guard(anthropic.Anthropic(), cancel="never")

async def main() -> None:
    async with guard(anthropic.AsyncAnthropic()) as guarded:
        reveal_type(await guarded.create(requests=[]))
    async with guard(anthropic.AsyncAnthropic().beta.messages.batches) as beta:
        beta.keep("msgbatch_a")
        reveal_type(await beta.create(requests=[]))
"""


def test_a_type_checker_knows_the_public_names_and_finds_a_mistyped_call(tmp_path: Path) -> None:
    (tmp_path / "snippet.py").write_text(SNIPPET)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "snippet.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT / "skill"), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    told = done.stdout
    assert 'has no attribute "cancle"' in told
    assert 'Argument 1 to "cancel"' in told
    assert 'has no attribute "speak"' in told
    assert 'has no attribute "MesageBatches"' in told
    assert 'is "cancel_message_batch.api.models.MessageBatch"' in told
    assert 'is "int"' in told
    assert told.count('is "str"') == 2
    assert 'Argument 1 to "results_function"' in told
    assert 'Argument 1 to "keep"' in told
    assert told.count('is "anthropic.types.messages.message_batch.MessageBatch"') == 2
    assert told.count('is "anthropic.types.beta.messages.beta_message_batch.BetaMessageBatch"') == 2
    assert '"AbstractAsyncContextManager[_AsyncGuardedBatches, None]" has no attribute "__enter__"' in told
    assert 'No overload variant of "guard" matches' in told
    assert told.count("error:") == 9, told
