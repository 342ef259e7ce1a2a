"""The download of results: whole or not at all, and the credential only where it belongs."""

import gzip
import threading
import time

import pytest

from cancel_message_batch import MessageBatches
from cancel_message_batch.api import transport
from cancel_message_batch.api.errors import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
)
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.results.strange_results import NAME, line, serve

LINES = [line(f"request-{n}") for n in range(200)]
WHOLE = b"".join(one + b"\n" for one in LINES)
PATH = f"*/{NAME}/results"


def fetched(batches: MessageBatches) -> list[bytes]:
    """What each attempt of a download brought."""
    attempts = [b""]
    for piece in batches.download_results(batches.retrieve(NAME)):
        if piece is None:
            attempts.append(b"")
        else:
            attempts[-1] += piece
    return attempts


def test_results_arrive_byte_for_byte(sandbox: Sandbox, batches: MessageBatches) -> None:
    serve(sandbox, WHOLE, {"succeeded": 200})
    assert fetched(batches) == [WHOLE]


def test_gzip_is_asked_for_and_unpacked(sandbox: Sandbox, batches: MessageBatches) -> None:
    two = gzip.compress(WHOLE[:1000]) + gzip.compress(WHOLE[1000:])
    serve(sandbox, two, {"succeeded": 200}, {"content-encoding": "gzip"})
    assert fetched(batches) == [WHOLE]
    assert sandbox.journal[-1].headers["accept-encoding"] == "gzip"


def test_a_gzip_stream_that_is_cut_short_is_an_error(sandbox: Sandbox, batches: MessageBatches) -> None:
    serve(sandbox, gzip.compress(WHOLE)[:-20], {"succeeded": 200}, {"content-encoding": "gzip"})
    with pytest.raises(APIConnectionError, match="broke"):
        fetched(batches)


def test_unpacking_takes_no_more_memory_than_a_piece_at_a_time() -> None:
    pieces = list(transport.unpacked([gzip.compress(bytes(10 * 2**20))], "gzip"))
    assert sum(map(len, pieces)) == 10 * 2**20
    assert max(map(len, pieces)) <= 2**20


def test_a_download_that_breaks_off_begins_again(sandbox: Sandbox, batches: MessageBatches) -> None:
    sandbox.fail(Fault(match=f"GET {PATH}", cut=5_000, body=WHOLE))
    serve(sandbox, WHOLE, {"succeeded": 200})
    broken, whole = fetched(batches)
    assert broken == WHOLE[: len(broken)]
    assert whole == WHOLE


def test_a_404_just_after_the_end_is_asked_again(sandbox: Sandbox, batches: MessageBatches) -> None:
    sandbox.fail(Fault(match=f"GET {PATH}", status=404))
    now = batches.list(limit=1).data[0].context.as_of.isoformat()
    serve(sandbox, WHOLE, {"succeeded": 200}, ended_at=now)
    assert fetched(batches) == [b"", WHOLE]


def test_a_404_long_after_the_end_is_final(sandbox: Sandbox, batches: MessageBatches) -> None:
    sandbox.fail(Fault(match=f"GET {PATH}", status=404))
    serve(sandbox, WHOLE, {"succeeded": 200})
    with pytest.raises(APIStatusError, match="404"):
        fetched(batches)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/results", "https://me:secret@example.com/r", "http://[", "file:///etc/x", "/r", None]
)
def test_results_come_from_the_documented_path_whatever_the_results_url_says(
    sandbox: Sandbox, batches: MessageBatches, url: str | None
) -> None:
    serve(sandbox, WHOLE, {"succeeded": 200}, results_url=url)
    assert fetched(batches) == [WHOLE]


def test_a_redirect_is_not_followed(sandbox: Sandbox, batches: MessageBatches) -> None:
    sandbox.fail(Fault(match=f"GET {PATH}", status=302, body="", headers={"location": f"{sandbox.url}/elsewhere"}))
    serve(sandbox, WHOLE, {"succeeded": 200})
    with pytest.raises(APIResponseError, match="redirects to"):
        fetched(batches)
    assert sandbox.journal[-1].path.endswith("/results")


def test_a_web_page_is_not_results(sandbox: Sandbox, batches: MessageBatches) -> None:
    sandbox.fail(Fault(match=f"GET {PATH}", body="<html>Please log in", content_type="text/html"))
    serve(sandbox, WHOLE, {"succeeded": 200})
    with pytest.raises(APIResponseError, match="text/html"):
        fetched(batches)


def test_silence_ends_a_download(sandbox: Sandbox, batches: MessageBatches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_TIMEOUT", 0.2)
    sandbox.fail(Fault(match=f"GET {PATH}", times=0, hang=True))
    serve(sandbox, WHOLE, {"succeeded": 200})
    with pytest.raises(APITimeoutError):
        fetched(batches.with_options(max_retries=0))


@pytest.mark.parametrize("name", ["retry-after in seconds", "retry-after absurd"])
def test_a_wait_longer_than_the_timeout_of_a_call_ends_a_download(
    sandbox: Sandbox, batches: MessageBatches, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    slept: list[float] = []
    here, sleep = threading.get_ident(), time.sleep  # other threads may sleep too
    monkeypatch.setattr("time.sleep", lambda s: slept.append(s) if threading.get_ident() == here else sleep(s))
    sandbox.fault(name, operation="results", times=0)
    serve(sandbox, WHOLE, {"succeeded": 200})
    with pytest.raises(APIStatusError, match="429"):
        fetched(batches.with_options(timeout=1))
    assert slept == []
