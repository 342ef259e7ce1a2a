"""The real API, with a real key: `make live`. Creates a batch of three tiny requests, cancels it and deletes it.

What the API does with a repeated cancel, and with one after the end, is not documented: this is where it would show.
"""

import os
import time

import anthropic
import pytest

from cancel_message_batch import MessageBatches
from cancel_message_batch.tools import CANCEL, GET, LIST

# Read before the tests' own environment hides it.
FOUND = {name: value for name, value in os.environ.items() if name.startswith("ANTHROPIC_")}

pytestmark = pytest.mark.skipif(
    not os.environ.get("LIVE") or not FOUND.get("ANTHROPIC_API_KEY"),
    reason="`make live` runs it with your ANTHROPIC_API_KEY; it costs less than a cent",
)


@pytest.fixture
def certificates() -> None:
    """Keep this machine's certificates: the real API is called over HTTPS."""


def test_a_real_batch_is_found_canceled_once_and_said_to_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in FOUND.items():
        monkeypatch.setenv(name, value)
    message = {"role": "user", "content": "Say hi."}
    params = {"model": FOUND.get("ANTHROPIC_MODEL", "claude-haiku-4-5"), "max_tokens": 5, "messages": [message]}
    with anthropic.Anthropic() as client, MessageBatches() as batches:
        requests: list[anthropic.types.messages.batch_create_params.Request] = [
            {"custom_id": f"live-{number}", "params": params}  # type: ignore[typeddict-item]  # plain JSON
            for number in range(3)
        ]
        made = client.messages.batches.create(requests=requests).id
        given = {"message_batch_id": made}
        try:
            assert made in LIST.run({"limit": 50}, batches).text
            first, again = CANCEL.run(given, batches), CANCEL.run(given, batches)
            assert not first.is_error, first.text
            assert not again.is_error, again.text
            assert first.batch
            assert again.batch
            assert first.batch.request_counts.total == 3
            assert again.batch.cancel_initiated_at == first.batch.cancel_initiated_at
        finally:
            deadline = time.monotonic() + 20 * 60
            while not batches.retrieve(made).ended and time.monotonic() < deadline:
                time.sleep(10)
        ended = GET.run(given, batches)
        assert "has ended" in ended.text
        assert ended.batch
        assert ended.batch.request_counts.finished == 3
        assert CANCEL.run(given, batches).text.startswith("Nothing was canceled now")
        client.messages.batches.delete(made)
        assert "There is no message batch" in GET.run(given, batches).text
