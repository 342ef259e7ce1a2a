"""Secrets stay where they belong, whatever an answer repeats."""

import json
import logging
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cancel_message_batch import (
    APIStatusError,
    ConfigurationError,
    MessageBatch,
    MessageBatchError,
    MessageBatches,
)
from cancel_message_batch.api.credentials import connect
from cancel_message_batch.api.errors import clean, masked_json
from cancel_message_batch.api.models import EXAMPLE_ID, RequestCounts
from cancel_message_batch.api.pages import MessageBatchPage
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.words import failures
from tests.api.conftest import Call, Handler
from tests.conftest import KEY, Run, described

SECRET = "proxy-secret-word"


def told(error: BaseException) -> str:
    """Everything that a log or a traceback would show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", f"X-Proxy-Authorization: Basic {SECRET}")


@pytest.mark.parametrize(
    "body",
    [
        {"type": "error", "error": {"type": SECRET, "message": f"no {SECRET}"}, "request_id": SECRET},
        {"type": SECRET, "message": SECRET},
        f'{{"id": "{SECRET}", "broken',
        {"id": EXAMPLE_ID, "processing_status": SECRET, "request_counts": SECRET},
    ],
)
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.usefixtures("secrets")
def test_an_answer_that_repeats_a_secret_header_does_not_show_it(
    sandbox: Sandbox, call: Call, caplog: pytest.LogCaptureFixture, body: Any, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    sandbox.fail(Fault(match="cancel", times=0, status=status, body=body, headers={"request-id": SECRET}))
    with pytest.raises(MessageBatchError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID, options={"max_retries": 0})
    assert SECRET not in told(caught.value)
    assert SECRET not in failures.failed(caught.value, "cancel", EXAMPLE_ID)
    assert SECRET not in repr(connect(api_key="k"))


@pytest.mark.parametrize(
    "trouble", [Fault(drop=True), Fault(hang=True), Fault(status=500, body=f"{KEY} <")], ids=["cut", "silence", "500"]
)
def test_nothing_behind_an_error_holds_the_request_that_was_sent(sandbox: Sandbox, call: Call, trouble: Fault) -> None:
    sandbox.fail(replace(trouble, match="cancel"))
    with pytest.raises(MessageBatchError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID, options={"max_retries": 0, "timeout": 1})
    behind: BaseException | None = caught.value
    while behind:
        request = getattr(behind, "request", None)
        assert KEY not in told(behind) + repr(request and request.headers.raw)
        behind = behind.__cause__ or behind.__context__


def test_a_reason_phrase_is_cleaned_too(odd_server: Any, call: Call, secrets: None) -> None:
    def answer(handler: Handler) -> None:
        handler.send_response(418, f"teapot {SECRET} sk-ant-abcdefgh12345678")
        handler.send_header("content-length", "0")
        handler.end_headers()

    url, _ = odd_server(answer)
    with pytest.raises(MessageBatchError) as caught:
        call(url, "cancel", EXAMPLE_ID)
    assert "teapot" in str(caught.value)
    assert SECRET not in told(caught.value)
    assert "abcdefgh" not in told(caught.value)


@pytest.mark.parametrize(
    "text", ["sk-ant-abcdefgh12345678", "key_sk-ant-abcdefgh12345678", "xsk-ant-abcdefgh12345678y"]
)
def test_a_key_is_masked_inside_words_too(text: str) -> None:
    assert "abcdefgh" not in clean(text)


def test_a_password_in_the_base_url_is_sent_as_a_header_and_shown_nowhere(
    odd_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def answer(handler: Handler) -> None:
        body = f'{{"type": "proxy_error", "message": "no {handler.headers["authorization"]}"}}'.encode()
        handler.send_response(407)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    url, seen = odd_server(answer)
    place = url.removeprefix("http://")
    with MessageBatches(api_key="test-key", base_url="http://bob:s3cr%40t-word@" + place) as client:
        with pytest.raises(MessageBatchError) as caught:
            client.cancel(EXAMPLE_ID)
        sent = {name.lower(): value for name, value in seen[0][2].items()}["authorization"]
        shown = told(caught.value) + repr(client.connection) + caplog.text
    assert sent.startswith("Basic ")
    for secret in ("s3cr", "t-word", sent.split()[1]):
        assert secret not in shown


def test_a_password_in_the_base_url_beside_a_token_is_refused() -> None:
    password = "s3cr@t-word"
    with pytest.raises(ConfigurationError, match="needs the same header") as caught:
        connect(auth_token="a-token", base_url=f"http://bob:{password}@host")
    assert password not in told(caught.value)


@pytest.mark.parametrize(
    "arguments", [("status", EXAMPLE_ID), ("status", EXAMPLE_ID, "--json"), ("list",), (EXAMPLE_ID,)]
)
def test_an_answer_that_holds_a_secret_is_masked_before_it_is_read(
    sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    secret = "hdr-s3cret-Z9"
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", f"X-Plain: {secret}")
    batch = described(EXAMPLE_ID, secret, results_url=f"http://127.0.0.1/{secret}/sk-ant-abcdefgh12345678", note=secret)
    body = {"data": [batch], "has_more": False} if arguments == ("list",) else batch
    sandbox.fail(Fault(match="batches", times=0, status=200, body=body))
    done = run(*arguments)
    assert secret not in done.stdout + done.stderr
    assert "abcdefgh" not in done.stdout + done.stderr
    assert done.stdout + done.stderr


OF_THE_API = [
    "today", "ended", "in_progress", "message_batch", "msgbatch_", EXAMPLE_ID, "anthropic", "batches", "error",
    "message", "not_found_error", "request_id", "created_at", "processing", "20260829", "12000", "true",
]  # fmt: skip


@pytest.mark.parametrize("value", OF_THE_API)
def test_a_header_that_holds_what_the_api_says_hides_nothing_that_it_says(
    sandbox: Sandbox, call: Call, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    now = datetime.now(UTC)
    counts = {"processing": 0, "succeeded": 20260829}
    batch = described(EXAMPLE_ID, "ended", request_counts=counts, ended_at=now.isoformat(), type="message_batch")
    batch["results_url"] = f"https://api.anthropic.com/v1/messages/batches/{EXAMPLE_ID}/results"
    sandbox.fail(Fault(match="GET", times=1, status=200, body=batch))
    error = {"type": "not_found_error", "message": "There is none."}
    envelope = {"type": "error", "error": error, "request_id": "req_1"}
    sandbox.fail(Fault(match="cancel", times=2, status=404, body=envelope, headers={"x-should-retry": "true"}))
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", f"X-Team: {now.date() if value == 'today' else value}")
    found = call(sandbox.url, "retrieve", EXAMPLE_ID)
    assert found.model_dump(mode="json", exclude_unset=True) == MessageBatch(**batch).model_dump(
        mode="json", exclude_unset=True
    )
    with pytest.raises(APIStatusError, match=r"There is none\.") as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID, options={"max_retries": 1})
    assert caught.value.body == envelope
    assert (caught.value.from_api, caught.value.should_retry) == (True, True)
    assert caught.value.type == "not_found_error"


def test_every_field_that_the_api_sends_is_known_to_be_no_secret() -> None:
    fields = dict.fromkeys([*MessageBatch.model_fields, *RequestCounts.model_fields, *MessageBatchPage.model_fields], 1)
    assert masked_json(fields, list(fields)) == fields


@pytest.mark.parametrize("secret", ["hdr-s3cret-Z9", "correcthorse", "k/7\\x-long", "s3cr", "84729157"])
def test_a_secret_is_masked_in_every_field_however_it_is_written(
    sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", f"X-Plain: {secret}")
    shown = f"msgbatch_{secret}" if len(secret) >= 8 else EXAMPLE_ID
    batch = described(shown, secret, results_url=f"http://127.0.0.1/{secret}", **{secret: [secret], "note": secret})
    escaped = "".join(f"\\u{ord(one):04x}" for one in secret)
    for body in (json.dumps(batch), json.dumps(batch).replace(json.dumps(secret)[1:-1], escaped)):
        for answer in (body, f'{{"data": [{body}], "has_more": false}}'):
            sandbox.fail(Fault(match="batches", times=1, status=200, body=answer))
            done = run(*(["status", EXAMPLE_ID, "--json"] if answer == body else ["list", "--json"]))
            assert done.stdout + done.stderr
            assert secret not in done.stdout + done.stderr
            assert json.dumps(secret)[1:-1] not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "base_url",
    ["user:pwd5ecret@127.0.0.1:1", "http:/user:pwd5ecret@127.0.0.1:1", "http://h/?t=pwd5ecret", "http://h/#pwd5ecret"],
)
def test_an_invalid_base_url_is_reported_without_its_secrets(run: Run, base_url: str) -> None:
    done = run(EXAMPLE_ID, "--base-url", base_url, ANTHROPIC_API_KEY="test-key")
    assert done.returncode == 2
    assert "pwd5ecret" not in done.stderr
    assert "is not an http or https URL" in done.stderr or "was given with a query (?) or a fragment (#)" in done.stderr


@pytest.mark.parametrize("host", ["a..b", "a" * 300 + ".invalid"])
def test_an_invalid_host_is_reported(run: Run, host: str) -> None:
    done = run("list", "--base-url", f"http://{host}", ANTHROPIC_API_KEY="test-key")
    assert done.returncode == 2
    assert "is not an http or https URL" in done.stderr
