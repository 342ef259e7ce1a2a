"""The client, sync and async alike, over a real socket."""

import inspect
import socket
from typing import Any

import anthropic
import pytest

from cancel_message_batch import (
    APIConnectionError,
    AsyncMessageBatches,
    ConfigurationError,
    InvalidInputError,
    MessageBatch,
    MessageBatches,
)
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from tests.api.conftest import Call
from tests.conftest import KEY


def test_cancel_sends_one_post_with_the_documented_headers(sandbox: Sandbox, call: Call) -> None:
    batch = call(sandbox.url, "cancel", EXAMPLE_ID)
    assert isinstance(batch, MessageBatch)
    assert batch.processing_status == "canceling"
    assert batch.request_counts.model_dump() == {
        "processing": 50, "succeeded": 40, "errored": 5, "canceled": 5, "expired": 0,
    }  # fmt: skip
    (exchange,) = sandbox.journal
    assert (exchange.method, exchange.path) == ("POST", f"/v1/messages/batches/{EXAMPLE_ID}/cancel")
    assert exchange.headers["anthropic-version"] == "2023-06-01"
    assert exchange.headers["user-agent"].startswith("cancel-message-batch/")
    assert "x-api-key" in exchange.headers
    assert "authorization" not in exchange.headers


@pytest.mark.parametrize("suffix", ["", "/v1", "/"])
def test_a_base_url_with_a_path_prefix_works(sandbox: Sandbox, call: Call, suffix: str) -> None:
    prefix = f"{sandbox.url}/rest/anthropic-message-batches-api/1.0.0{suffix}"
    assert call(prefix, "cancel", EXAMPLE_ID).processing_status == "canceling"


@pytest.mark.parametrize("bad", ["", "batch_abc", "msgbatch_x/../y", "msgbatch_a msgbatch_b", None, 5])
def test_an_id_that_is_none_is_not_sent(sandbox: Sandbox, call: Call, bad: Any) -> None:
    for operation in ("cancel", "retrieve"):
        with pytest.raises(InvalidInputError, match="not a message batch id"):
            call(sandbox.url, operation, bad)
    assert sandbox.journal == []


def test_nothing_listening_is_told_as_not_arrived(call: Call) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(APIConnectionError, match="cannot be reached") as caught:
            call(url, "cancel", EXAMPLE_ID, options={"max_retries": 0})
    assert caught.value.may_have_arrived is False


@pytest.mark.parametrize("name", ["ALL_PROXY", "SSL_CERT_FILE"])
def test_a_proxy_or_certificate_that_cannot_be_used_is_told_in_words(
    call: Call, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "ftp://nowhere/at/all")
    with pytest.raises(ConfigurationError, match=name):
        call("https://127.0.0.1:9", "cancel", EXAMPLE_ID)


def test_both_clients_offer_the_same_operations_in_the_shape_of_the_official_sdk() -> None:
    sdk = anthropic.Anthropic(api_key=KEY).messages.batches
    for name in ("cancel", "retrieve", "list"):
        ours = inspect.signature(getattr(MessageBatches, name)).parameters
        assert list(ours) == list(inspect.signature(getattr(AsyncMessageBatches, name)).parameters)
        assert set(ours) - {"self"} <= set(inspect.signature(getattr(sdk, name)).parameters)
        assert getattr(AsyncMessageBatches, name).__doc__ == getattr(MessageBatches, name).__doc__
