"""The client, sync and async alike, over a real socket."""

import asyncio
import inspect
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import anthropic
import pytest

from cancel_message_batch import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    AsyncMessageBatches,
    ConfigurationError,
    InvalidInputError,
    MessageBatch,
    MessageBatches,
    summary,
)
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.conftest import KEY, cancels

Call = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Call:
    """Call an operation of the sync client, or the same of the async one."""

    def sync(base_url: str, operation: str, *arguments: Any, options: Any = None, **keywords: Any) -> Any:
        with MessageBatches(api_key=KEY, base_url=base_url, **options or {}) as client:
            result = getattr(client, operation)(*arguments, **keywords)
            return list(result) if operation == "list" else result

    async def asynchronous(base_url: str, operation: str, *arguments: Any, options: Any = None, **keywords: Any) -> Any:
        async with AsyncMessageBatches(api_key=KEY, base_url=base_url, **options or {}) as client:
            if operation == "list":
                return [batch async for batch in client.list(**keywords)]
            return await getattr(client, operation)(*arguments, **keywords)

    if request.param == "sync":
        return sync
    return lambda *arguments, **keywords: asyncio.run(asynchronous(*arguments, **keywords))


class _Handler(BaseHTTPRequestHandler):
    answers: Callable[["_Handler"], None]
    seen: list[Any]

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path, dict(self.headers)))
        type(self).answers(self)

    do_POST = do_GET  # noqa: N815 - the name that the standard library calls

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def odd_server() -> Iterator[Callable[..., tuple[str, list[Any]]]]:
    """Start servers that are not the API, each with its own way to answer."""
    servers = []

    def start(answers: Callable[[_Handler], None]) -> tuple[str, list[Any]]:
        seen: list[Any] = []
        server = HTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"answers": staticmethod(answers), "seen": seen})
        )
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}", seen

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


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


def test_listing_goes_through_all_pages_in_both_directions(sandbox: Sandbox, call: Call) -> None:
    everything = [batch.id for batch in call(sandbox.url, "list", limit=1000)]
    assert len(everything) > 5
    assert [batch.id for batch in call(sandbox.url, "list", limit=2)] == everything
    assert [b.id for b in call(sandbox.url, "list", limit=2, after_id=everything[1])] == everything[2:]
    newer = [batch.id for batch in call(sandbox.url, "list", limit=2, before_id=everything[-1])]
    assert sorted(newer) == sorted(everything[:-1])


@pytest.mark.parametrize("keywords", [{"limit": 0}, {"limit": 1001}, {"after_id": EXAMPLE_ID, "before_id": EXAMPLE_ID}])
def test_what_the_api_does_not_allow_is_not_sent(sandbox: Sandbox, call: Call, keywords: Any) -> None:
    with pytest.raises(InvalidInputError):
        call(sandbox.url, "list", **keywords)
    assert sandbox.journal == []


@pytest.mark.parametrize("bad", ["", "batch_abc", "msgbatch_x/../y", "msgbatch_a msgbatch_b", None, 5])
def test_an_id_that_is_none_is_not_sent(sandbox: Sandbox, call: Call, bad: Any) -> None:
    for operation in ("cancel", "retrieve"):
        with pytest.raises(InvalidInputError, match="not a message batch id"):
            call(sandbox.url, operation, bad)
    assert sandbox.journal == []


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529])
def test_what_may_pass_is_tried_again_twice(sandbox: Sandbox, call: Call, status: int) -> None:
    sandbox.fail(Fault(match="cancel", times=2, status=status, headers={"retry-after": "0.01"}))
    assert call(sandbox.url, "cancel", EXAMPLE_ID).processing_status == "canceling"
    assert len(sandbox.journal) == 3


def test_after_two_more_tries_the_error_tells_what_the_api_said(sandbox: Sandbox, call: Call) -> None:
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers={"retry-after": "0.01"}, body=error))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    assert (caught.value.status, caught.value.type, caught.value.message) == (429, "rate_limit_error", "slow down")
    assert caught.value.retry_after == 0.01
    assert caught.value.may_have_arrived is False
    assert len(sandbox.journal) == 3


@pytest.mark.parametrize(
    ("status", "header", "sent"), [(400, "true", 3), (500, "false", 1), (400, "", 1), (404, "", 1)]
)
def test_the_apis_own_word_decides_whether_to_try_again(
    sandbox: Sandbox, call: Call, status: int, header: str, sent: int
) -> None:
    headers = {"retry-after": "0.01"} | ({"x-should-retry": header} if header else {})
    sandbox.fail(Fault(match="cancel", times=0, status=status, headers=headers))
    with pytest.raises(APIStatusError):
        call(sandbox.url, "cancel", EXAMPLE_ID)
    assert len(sandbox.journal) == sent


def test_a_lost_answer_is_asked_for_again_and_a_repeated_cancel_changes_nothing(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", times=1, drop=True, after=True))
    assert call(sandbox.url, "cancel", EXAMPLE_ID).processing_status == "canceling"
    assert cancels(sandbox) == [EXAMPLE_ID, EXAMPLE_ID]


def test_a_refusal_after_a_lost_answer_leaves_the_outcome_unknown(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", times=1, drop=True, after=True))
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers={"retry-after": "0.01"}))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    assert caught.value.status == 429
    assert caught.value.may_have_arrived is True


def test_a_wait_longer_than_the_deadline_is_not_waited_for(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers={"retry-after": "3600"}))
    with pytest.raises(APIStatusError):
        call(sandbox.url, "cancel", EXAMPLE_ID, options={"timeout": 5.0})
    assert len(sandbox.journal) == 1


def test_an_api_that_never_answers_is_given_up_and_the_outcome_is_unknown(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", times=0, hang=True))
    with pytest.raises(APITimeoutError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID, options={"timeout": 0.3})
    assert caught.value.may_have_arrived is True


def test_an_answer_that_trickles_in_is_given_up_too(odd_server: Any, call: Call) -> None:
    def trickle(handler: _Handler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "100000")
        handler.end_headers()
        for _ in range(100):
            try:
                handler.wfile.write(b" ")
                handler.wfile.flush()
            except OSError:
                return
            threading.Event().wait(0.05)

    url, _ = odd_server(trickle)
    with pytest.raises(APITimeoutError):
        call(url, "cancel", EXAMPLE_ID, options={"timeout": 0.3, "max_retries": 0})


def test_nothing_listening_is_told_as_not_arrived(call: Call) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(APIConnectionError, match="cannot be reached") as caught:
            call(url, "cancel", EXAMPLE_ID, options={"max_retries": 0})
    assert caught.value.may_have_arrived is False


def test_a_key_does_not_follow_a_redirect_to_another_place(odd_server: Any, sandbox: Sandbox, call: Call) -> None:
    def redirect(handler: _Handler) -> None:
        handler.send_response(307)
        handler.send_header("location", f"{sandbox.url}{handler.path}")
        handler.send_header("content-length", "0")
        handler.end_headers()

    url, _ = odd_server(redirect)
    with pytest.raises(APIResponseError, match="the key was not sent there"):
        call(url, "cancel", EXAMPLE_ID)
    assert sandbox.journal == []


def test_a_redirect_at_the_same_place_is_followed_but_never_turns_a_cancel_into_a_read(
    odd_server: Any, call: Call
) -> None:
    def redirect(status: int) -> Callable[[_Handler], None]:
        def answer(handler: _Handler) -> None:
            if "moved" in handler.path:
                handler.send_response(404)
            else:
                handler.send_response(status)
                handler.send_header("location", "/moved")
            handler.send_header("content-length", "0")
            handler.end_headers()

        return answer

    url, seen = odd_server(redirect(308))
    with pytest.raises(APIStatusError):
        call(url, "cancel", EXAMPLE_ID)
    assert [(method, path) for method, path, _ in seen][1:] == [("POST", "/moved")]
    url, seen = odd_server(redirect(302))
    with pytest.raises(APIResponseError):
        call(url, "cancel", EXAMPLE_ID)
    assert len(seen) == 1


def test_a_page_instead_of_the_api_is_told_without_repeating_it(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", status=200, body="<html><b>Welcome</b></html>", content_type="text/html"))
    with pytest.raises(APIResponseError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    assert "text/html" in str(caught.value)
    assert "Welcome" not in str(caught.value)
    sandbox.fail(Fault(match="cancel", status=403, body="<html>Forbidden</html>", content_type="text/html"))
    with pytest.raises(APIStatusError) as refused:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    assert "<html>" not in str(refused.value)


def test_a_flat_error_and_a_hostile_message_are_made_fit_to_be_shown(sandbox: Sandbox, call: Call) -> None:
    body = {"type": "invalid_request_error", "message": f"no\x1b[31m\n\u202e {KEY} {'long ' * 200}"}
    sandbox.fail(Fault(match="cancel", status=400, body=body))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    shown = str(caught.value)
    assert caught.value.type == "invalid_request_error"
    assert shown.isprintable()
    assert KEY not in shown
    assert len(shown) < 300


def test_fields_and_statuses_that_are_newer_than_this_version_are_kept(sandbox: Sandbox, call: Call) -> None:
    body = {
        "id": EXAMPLE_ID, "type": "message_batch", "processing_status": "paused", "priority": "low",
        "request_counts": {"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0, "queued": 3},
        "created_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z",
    }  # fmt: skip
    sandbox.fail(Fault(match="GET", status=200, body=body))
    batch = call(sandbox.url, "retrieve", EXAMPLE_ID)
    assert batch.processing_status == "paused"
    assert batch.model_dump(mode="json", exclude_unset=True) == body


@pytest.mark.parametrize("created", ["2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_time_without_a_zone_or_out_of_all_bounds_is_no_fault(
    sandbox: Sandbox, call: Call, monkeypatch: pytest.MonkeyPatch, created: str
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    body = call(sandbox.url, "retrieve", EXAMPLE_ID).model_dump(mode="json") | {"created_at": created}
    sandbox.fail(Fault(match="GET", status=200, body=body))
    assert "Created " in summary.status(call(sandbox.url, "retrieve", EXAMPLE_ID))


@pytest.mark.parametrize("date", ["Thu, 01 Jan 2026 05:00:00 -0000", "Thu, 01 Jan 2026 05:00:00 GMT"])
def test_the_apis_own_time_is_taken_for_what_it_is(
    sandbox: Sandbox, call: Call, monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    body = call(sandbox.url, "retrieve", EXAMPLE_ID).model_dump(mode="json")
    sandbox.fail(Fault(match="GET", status=200, body=body, headers={"date": date}))
    assert call(sandbox.url, "retrieve", EXAMPLE_ID).as_of.isoformat() == "2026-01-01T05:00:00+00:00"


@pytest.mark.parametrize("value", ["1e300", "Thu, 01 Jan 9999 00:00:00 GMT", "nonsense", "-5", "nan"])
def test_a_wait_that_makes_no_sense_is_no_fault(sandbox: Sandbox, call: Call, value: str) -> None:
    sandbox.fail(Fault(match="cancel", times=0, status=429, headers={"retry-after": value}))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID, options={"max_retries": 0})
    assert (caught.value.retry_after or 0) <= 86_400


@pytest.mark.parametrize("location", ["javascript:1", "//é/", "http://[", "/moved"])
def test_a_redirect_that_leads_nowhere_leaves_what_came_before_it_open(
    odd_server: Any, call: Call, location: str
) -> None:
    answered: list[int] = []

    def answer(handler: _Handler) -> None:
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


def test_an_error_nested_without_end_is_told_by_its_status(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", status=400, body="[" * 100_000))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    assert caught.value.status == 400


@pytest.mark.parametrize("name", ["ALL_PROXY", "SSL_CERT_FILE"])
def test_a_proxy_or_certificate_that_cannot_be_used_is_told_in_words(
    call: Call, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "ftp://nowhere/at/all")
    with pytest.raises(ConfigurationError, match=name):
        call("https://127.0.0.1:9", "cancel", EXAMPLE_ID)


def test_an_error_passes_between_processes(sandbox: Sandbox, call: Call) -> None:
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", "msgbatch_unknown")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.status, again.type) == (str(caught.value), 404, "not_found_error")


def test_an_async_listing_can_be_gone_through_twice(sandbox: Sandbox) -> None:
    async def twice() -> tuple[list[str], list[str]]:
        async with AsyncMessageBatches(api_key=KEY, base_url=sandbox.url) as client:
            listing = client.list(limit=3)
            return [batch.id async for batch in listing], [batch.id async for batch in listing]

    first, second = asyncio.run(twice())
    assert first == second


def test_a_listing_whose_cursor_does_not_move_ends(sandbox: Sandbox, call: Call) -> None:
    batch = call(sandbox.url, "retrieve", EXAMPLE_ID).model_dump(mode="json")
    page = {"data": [batch], "has_more": True, "first_id": EXAMPLE_ID, "last_id": EXAMPLE_ID}
    sandbox.fail(Fault(match="GET */batches", times=0, status=200, body=page))
    assert len(call(sandbox.url, "list")) == 2


def test_both_clients_offer_the_same_operations_in_the_shape_of_the_official_sdk() -> None:
    sdk = anthropic.Anthropic(api_key=KEY).messages.batches
    for name in ("cancel", "retrieve", "list"):
        ours = inspect.signature(getattr(MessageBatches, name)).parameters
        assert list(ours) == list(inspect.signature(getattr(AsyncMessageBatches, name)).parameters)
        assert set(ours) - {"self"} <= set(inspect.signature(getattr(sdk, name)).parameters)
        assert getattr(AsyncMessageBatches, name).__doc__ == getattr(MessageBatches, name).__doc__
