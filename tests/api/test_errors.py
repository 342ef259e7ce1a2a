"""Errors: what they show, and what they never show."""

import pickle

import pytest

from cancel_message_batch import APIResponseError, APIStatusError
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.words import failures
from tests.api.conftest import Call
from tests.conftest import KEY


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


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("wrkspc_a", "in the workspace wrkspc_a (404"),
        ("", "in this workspace (404"),
        (f"wrkspc_{KEY}\u00ad", "wrkspc_…"),
    ],
)
def test_an_unknown_batch_is_told_with_the_workspace_that_the_response_names(
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
    assert caught.value.workspace == "w" * 79 + "…"


def test_an_error_nested_without_end_is_told_by_its_status(sandbox: Sandbox, call: Call) -> None:
    sandbox.fail(Fault(match="cancel", status=400, body="[" * 100_000))
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", EXAMPLE_ID)
    assert caught.value.status == 400


def test_an_error_passes_between_processes(sandbox: Sandbox, call: Call) -> None:
    with pytest.raises(APIStatusError) as caught:
        call(sandbox.url, "cancel", "msgbatch_unknown")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.status, again.type) == (str(caught.value), 404, "not_found_error")
    assert again.workspace == "wrkspc_default"
