"""Errors: what they show, and what they never show."""

import copy
import pickle
import subprocess
import sys
from typing import Any

import anthropic
import pytest

from cancel_message_batch import APIConnectionError, APIResponseError, APIStatusError
from cancel_message_batch.api.errors import masked
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.words import failures
from tests.api.conftest import Call
from tests.api.test_deadline import serving
from tests.conftest import KEY


def test_a_web_page_instead_of_the_api_is_reported_without_repeating_it(sandbox: Sandbox, call: Call) -> None:
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


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("wrkspc_a", "in the workspace wrkspc_a (404"),
        ("", "in this workspace (404"),
        (f"wrkspc_{KEY}\u00ad", f"wrkspc_{masked(KEY)}"),
    ],
)
def test_an_unknown_batch_is_reported_with_the_workspace_that_the_response_names(
    sandbox: Sandbox, call: Call, header: str, told: str
) -> None:
    headers = {"anthropic-workspace-id": header}
    sandbox.fail(Fault(match="cancel", status=404, headers=headers))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    shown = failures.failed(caught.value, "cancel", EXAMPLE_ID)
    assert told in shown
    assert shown.isprintable()
    assert KEY not in shown


def test_what_a_response_calls_its_workspace_is_shown_only_to_80_characters(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="GET", status=404, headers={"anthropic-workspace-id": "w" * 10_000}))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "retrieve", EXAMPLE_ID)
    assert caught.value.workspace_id == "w" * 79 + "…"


def test_an_error_nested_without_end_is_reported_by_its_status(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", status=400, body="[" * 100_000))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    assert caught.value.status_code == 400


def test_an_error_passes_between_processes_and_can_be_copied(sandbox: Sandbox, call: Call) -> None:
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", "msgbatch_unknown")
    error = caught.value
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (type(again), str(again), repr(again)) == (type(error), str(error), repr(error))
        assert (again.status_code, again.type, again.workspace_id) == (404, "not_found_error", "wrkspc_default")
        assert (again.body, again.response.json()) == (error.body, error.body)
    assert {error: 1}[error] == 1


SDK = {
    400: "BadRequestError", 401: "AuthenticationError", 403: "PermissionDeniedError", 404: "NotFoundError",
    409: "ConflictError", 418: "APIStatusError", 429: "RateLimitError", 500: "InternalServerError",
    529: "OverloadedError" if hasattr(anthropic, "OverloadedError") else "InternalServerError",
}  # fmt: skip


@pytest.mark.parametrize(("status", "name"), SDK.items())
def test_a_programs_clause_for_an_error_of_the_sdk_catches_ours(
    sandbox: Sandbox, call: Call, status: int, name: str
) -> None:
    body = {"type": "error", "error": {"type": "some_error", "message": f"no {KEY}"}}
    headers = {"request-id": "req_1", "x-key": KEY}
    sandbox.fail(Fault(match="cancel", times=0, status=status, body=body, headers=headers))
    with pytest.raises(getattr(anthropic, name)) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID, options={"max_retries": 0})
    assert isinstance(caught.value, APIStatusError)
    error: Any = caught.value
    assert (error.status_code, error.request_id, error.type) == (status, "req_1", "some_error")
    assert (error.message, error.api_message) == (str(error), f"no {masked(KEY)}")
    assert (
        error.body == error.response.json() == {**body, "error": {"type": "some_error", "message": f"no {masked(KEY)}"}}
    )
    assert (error.response.status_code, error.response.headers["x-key"]) == (status, masked(KEY))
    assert (error.request.method, str(error.request.url)) == (
        "POST", f"{sandbox.url}/v1/messages/batches/{EXAMPLE_ID}/cancel",
    )  # fmt: skip
    assert KEY not in repr([*error.request.headers.items(), *error.response.headers.items()])
    assert repr(error).startswith("APIStatusError('the API answered")


def test_errors_without_an_answer_are_the_sdks_too(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", times=1, hang=True))
    sandbox.fail(Fault(match="cancel", times=1, drop=True))
    one_try = {"max_retries": 0, "timeout": 0.3}
    with pytest.raises(anthropic.APITimeoutError) as late:
        call(sandbox.url, "cancel", EXAMPLE_ID, options=one_try)
    with pytest.raises(anthropic.APIConnectionError) as broken:
        call(sandbox.url, "cancel", EXAMPLE_ID, options=one_try)
    for caught in (late, broken):
        assert isinstance(caught.value, APIConnectionError)
        error: Any = caught.value
        assert (error.request.method, error.request.headers.get("x-api-key"), error.body) == ("POST", None, None)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
    sandbox.fail(Fault(match="cancel", status=200, body="<html>", content_type="text/html"))
    with pytest.raises(anthropic.APIResponseValidationError) as foreign:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    assert foreign.value.status_code == foreign.value.response.status_code == 200
    with pytest.raises(anthropic.AnthropicError, match="not a message batch id"):
        call(sandbox.url, "cancel", "5")
    with pytest.raises(anthropic.AnthropicError, match="only one of"):
        call(sandbox.url, "cancel", EXAMPLE_ID, options={"auth_token": "t"})


def test_a_broken_connection_whose_error_repeats_the_key_is_reported_without_it(call: Call) -> None:
    with serving(lambda: iter([f"who is {KEY}?\r\n\r\n".encode()])) as url, pytest.raises(APIConnectionError) as caught:
        call(url, "cancel", EXAMPLE_ID, options={"max_retries": 0})
    assert "broke (illegal status line)" in str(caught.value)
    assert KEY not in f"{caught.value!r} {vars(caught.value)}"
    assert KEY not in f"{caught.value!r} {vars(caught.value)}"


def test_without_the_sdk_an_error_is_ours_alone_and_reaches_a_process_that_has_it(sandbox: Sandbox) -> None:
    program = (
        "import pickle, sys\n"
        "from cancel_message_batch import MessageBatches, NAME\n"
        f"try: MessageBatches(api_key='{KEY}', base_url='{sandbox.url}').cancel('msgbatch_unknown')\n"
        "except NAME as error: caught = error\n"
        "assert 'anthropic' not in sys.modules and type(caught) is NAME\n"
        "sys.stdout.buffer.write(pickle.dumps(caught))"
    ).replace("NAME", "APIStatusError")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    error = pickle.loads(done.stdout)
    assert isinstance(error, anthropic.NotFoundError)
    assert isinstance(error, APIStatusError)
    assert (error.status_code, error.body["error"]["type"]) == (404, "not_found_error")
