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


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "batch_abc",
        "msgbatch_x/../y",
        "msgbatch_a msgbatch_b",
        f'{{"message_batch_id": "{EXAMPLE_ID}", "dry_run": true}}',  # it asks for more than can be obeyed
        None,
        5,
    ],
)
def test_a_text_that_is_not_an_id_is_not_sent(sandbox: Sandbox, call: Call, bad: Any) -> None:
    for operation in ("cancel", "retrieve"):
        with pytest.raises(InvalidInputError, match="not a message batch id"):
            call(sandbox.url, operation, bad)
    assert sandbox.journal == []


def test_a_cancel_is_reported_as_not_sent_if_nothing_is_listening(call: Call) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(APIConnectionError, match="cannot be reached") as caught:
            call(url, "cancel", EXAMPLE_ID, options={"max_retries": 0})
    assert caught.value.may_have_arrived is False


@pytest.mark.parametrize("name", ["ALL_PROXY", "SSL_CERT_FILE"])
def test_a_proxy_or_certificate_that_cannot_be_used_is_reported_in_plain_words(
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


@pytest.mark.parametrize("timeout", [-1, 0, float("nan"), "5", None, True])
def test_a_timeout_that_leaves_no_time_is_refused_in_words(call: Call, timeout: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"timeout is .*; it must be a number of seconds above 0"):
        call("http://127.0.0.1:1", "cancel", EXAMPLE_ID, options={"timeout": timeout})
    if timeout is not None:
        with pytest.raises(InvalidInputError, match="timeout is"):
            MessageBatches(api_key=KEY).with_options(timeout=timeout)


@pytest.mark.parametrize("max_retries", [-1, 1.5, None])
def test_a_number_of_retries_that_is_not_one_is_refused_in_words(call: Call, max_retries: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"max_retries is .*; it must be a whole number from 0"):
        call("http://127.0.0.1:1", "cancel", EXAMPLE_ID, options={"max_retries": max_retries})


def test_a_timeout_may_be_without_end(sandbox: Sandbox, call: Call) -> None:
    assert call(sandbox.url, "retrieve", EXAMPLE_ID, options={"timeout": float("inf")}).id == EXAMPLE_ID


def test_with_options_takes_what_the_constructor_takes_and_keeps_the_rest(sandbox: Sandbox) -> None:
    ours = inspect.signature(MessageBatches).parameters.keys()
    assert ours == inspect.signature(MessageBatches.with_options).parameters.keys() - {"self"}
    assert (
        ours - {"profile", "workspace_id"}
        <= inspect.signature(anthropic.Anthropic(api_key=KEY).with_options).parameters.keys()
    )
    with MessageBatches(api_key="first-key", base_url="http://127.0.0.1:1", max_retries=0) as batches:
        here = batches.with_options(base_url=sandbox.url, workspace_id="wrkspc_default")
        here.with_options(auth_token="a-token").retrieve(EXAMPLE_ID)
        here.with_options(timeout=5).retrieve(EXAMPLE_ID)
        with pytest.raises(APIConnectionError):
            batches.retrieve(EXAMPLE_ID)
        with pytest.raises(ConfigurationError, match="only one of"):
            here.with_options(api_key="k", auth_token="t")
        unknown: Any = batches.with_options
        with pytest.raises(TypeError):
            unknown(connection=None)
    token, key = (exchange.headers for exchange in sandbox.journal)
    assert (token["anthropic-workspace-id"], "authorization" in token, "x-api-key" in token) == (
        "wrkspc_default", True, False,
    )  # fmt: skip
    assert (key["anthropic-workspace-id"], "authorization" in key, "x-api-key" in key) == (
        "wrkspc_default", False, True,
    )  # fmt: skip
