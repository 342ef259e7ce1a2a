"""An HTTP client that the caller made: used as it is, and left as it was."""

import asyncio
import contextvars
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from cancel_message_batch import (
    APIStatusError,
    APITimeoutError,
    AsyncMessageBatches,
    InvalidInputError,
    MessageBatch,
    MessageBatches,
)
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.api.test_credentials import write_profile
from tests.api.test_deadline import TRICKLES, Trickle, serving
from tests.conftest import KEY


@pytest.mark.parametrize("where", ["here", "in another thread"])
def test_the_connections_of_a_callers_client_know_nothing_of_our_deadline(sandbox: Sandbox, where: str) -> None:
    with httpx2.Client() as client:
        assert MessageBatches(api_key=KEY, http_client=client, timeout=0.5).retrieve(EXAMPLE_ID).id == EXAMPLE_ID
        time.sleep(0.6)  # the connection stays open, and the deadline passes
        url = f"{sandbox.url}/v1/messages/batches?limit=1"
        headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
        if where == "here":
            assert client.get(url, headers=headers).status_code == 200
        else:
            with ThreadPoolExecutor() as pool:
                assert pool.submit(client.get, url, headers=headers).result().status_code == 200
        assert MessageBatches(api_key=KEY, http_client=client).retrieve(EXAMPLE_ID).id == EXAMPLE_ID


@pytest.mark.parametrize("trickle", TRICKLES)
def test_a_server_that_never_comes_to_an_end_is_given_up_over_a_callers_client_too(trickle: Trickle) -> None:
    with serving(trickle) as url, httpx2.Client() as client:
        batches = MessageBatches(api_key=KEY, base_url=url, http_client=client, timeout=0.4)
        with pytest.raises(APITimeoutError, match="did not answer in time"):
            batches.cancel(EXAMPLE_ID)

        async def wait() -> None:
            async with httpx2.AsyncClient() as waiting:
                other = AsyncMessageBatches(api_key=KEY, base_url=url, http_client=waiting, timeout=0.4)
                await other.cancel(EXAMPLE_ID)

        with pytest.raises(APITimeoutError, match="did not answer in time"):
            asyncio.run(wait())


def test_the_credential_of_a_profile_is_sent_over_a_callers_client(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_profile(monkeypatch, tmp_path, sandbox.url)
    with httpx2.Client() as client:
        assert MessageBatches(http_client=client).retrieve(EXAMPLE_ID).id == EXAMPLE_ID

    async def retrieve() -> Any:
        async with httpx2.AsyncClient() as waiting:
            return await AsyncMessageBatches(http_client=waiting).retrieve(EXAMPLE_ID)

    assert asyncio.run(retrieve()).id == EXAMPLE_ID
    assert {exchange.headers["authorization"] for exchange in sandbox.journal} == {"Bearer …oken"}


def test_a_callers_client_sends_what_it_was_made_with_and_shows_nothing_of_it(sandbox: Sandbox) -> None:
    of_a_gateway: dict[str, Any] = {
        "headers": {"X-Gateway-Key": "gateway-secret", "User-Agent": "theirs"},
        "params": {"subscription-key": "query-secret"},
        "cookies": {"session": "cookie-secret"},
    }
    secrets = ["gateway-secret", "query-secret", "cookie-secret", KEY]
    body = json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": " ".join(secrets)}})

    async def wait() -> list[MessageBatch]:
        async with httpx2.AsyncClient(**of_a_gateway) as client:
            return (await AsyncMessageBatches(api_key=KEY, http_client=client).list(limit=7)).data

    with httpx2.Client(**of_a_gateway) as client:
        batches = MessageBatches(api_key=KEY, max_retries=0).with_options(http_client=client)
        shown = batches.list(limit=7).data
        ended = next(batch for batch in shown if batch.processing_status == "ended")
        assert b"".join(filter(None, batches.download_results(ended)))
        assert len(asyncio.run(wait())) == len(shown)
        for sent in sandbox.journal:
            assert sent.headers["x-gateway-key"].endswith("cret")
            assert sent.headers["cookie"].endswith("cret")
            assert sent.headers["user-agent"].startswith("cancel-message-batch/")
            assert "subscription-key" in sent.query
            assert (sent.query.get("limit") == "7") == sent.path.endswith("/batches")
        sandbox.fail(Fault(status=529, body=body))
        with pytest.raises(APIStatusError) as raised:
            batches.cancel(EXAMPLE_ID)
    said = f"{raised.value!r} {vars(raised.value)} {raised.value.response.text} {raised.value.response.request!r}"
    assert not [secret for secret in secrets if secret in said]


def test_what_a_callers_client_does_by_itself_goes_on(sandbox: Sandbox) -> None:
    tenant = contextvars.ContextVar("tenant", default="nobody")
    seen = []

    def note(request: httpx2.Request) -> None:
        seen.append((tenant.get(), request.headers["x-api-key"]))

    tenant.set("somebody")
    with httpx2.Client(event_hooks={"request": [note]}) as client:
        MessageBatches(api_key=KEY, http_client=client).retrieve(EXAMPLE_ID)
    assert seen == [("somebody", KEY)]


@pytest.mark.parametrize("given", [object(), httpx2.AsyncClient()], ids=["anything", "the other kind"])
def test_what_is_not_a_client_of_this_kind_is_refused_at_once(given: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"not an httpx2\.Client"):
        MessageBatches(api_key=KEY, http_client=given)
    with pytest.raises(InvalidInputError, match=r"not an httpx2\.Client"):
        MessageBatches(api_key=KEY).with_options(http_client=given)
