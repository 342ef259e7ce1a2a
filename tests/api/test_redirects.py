"""Redirects: where the key and a cancel may go."""

import asyncio
from typing import Any

import httpx2
import pytest

from cancel_message_batch import APIResponseError, AsyncMessageBatches, MessageBatches
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from tests.api.conftest import Call, Handler
from tests.conftest import KEY


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_redirect_is_not_followed_and_the_error_says_where_it_leads(
    odd_server: Any, sandbox: Sandbox, call: Call, status: int, elsewhere: bool
) -> None:
    def redirect(handler: Handler) -> None:
        handler.send_response(status)
        handler.send_header("location", f"{sandbox.url}{handler.path}" if elsewhere else "/moved?key=secret")
        handler.send_header("content-length", "0")
        handler.end_headers()

    url, seen = odd_server(redirect)
    target = f"{sandbox.url}/v1/messages/batches/{EXAMPLE_ID}/cancel" if elsewhere else f"{url}/moved,"
    with pytest.raises(APIResponseError, match="nothing was sent there") as caught:
        call(url, "cancel", EXAMPLE_ID)
    assert f"redirects to {target}" in str(caught.value)
    assert len(seen) == 1
    assert sandbox.journal == []


@pytest.mark.parametrize("location", ["javascript:1", "//é/", "http://[", "/moved"])
def test_a_redirect_that_leads_nowhere_leaves_what_came_before_it_open(
    odd_server: Any, call: Call, location: str
) -> None:
    answered: list[int] = []

    def answer(handler: Handler) -> None:
        answered.append(500 if not answered else 302)
        handler.send_response(answered[-1])
        handler.send_header("retry-after", "0.01")
        handler.send_header("location", location.encode().decode("latin-1"))
        handler.send_header("content-length", "0")
        handler.end_headers()

    url, _ = odd_server(answer)
    with pytest.raises(APIResponseError) as caught:
        call(url, "cancel", EXAMPLE_ID)
    assert caught.value.may_have_arrived is True


def test_a_redirect_is_not_followed_over_a_callers_client_that_follows_them(odd_server: Any, sandbox: Sandbox) -> None:
    def redirect(handler: Handler) -> None:
        handler.send_response(307)
        handler.send_header("location", f"{sandbox.url}{handler.path}")
        handler.send_header("content-length", "0")
        handler.end_headers()

    url, _ = odd_server(redirect)

    async def wait() -> None:
        async with httpx2.AsyncClient(follow_redirects=True) as client:
            await AsyncMessageBatches(api_key=KEY, base_url=url, http_client=client).cancel(EXAMPLE_ID)

    with (
        httpx2.Client(follow_redirects=True) as client,
        pytest.raises(APIResponseError, match="nothing was sent there"),
    ):
        MessageBatches(api_key=KEY, base_url=url, http_client=client).cancel(EXAMPLE_ID)
    with pytest.raises(APIResponseError, match="nothing was sent there"):
        asyncio.run(wait())
    assert sandbox.journal == []
