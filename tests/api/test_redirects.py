"""Redirects: where the key and a cancel may go."""

from collections.abc import Callable
from typing import Any

import pytest

from cancel_message_batch import APIResponseError, APIStatusError
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from tests.api.conftest import Call, Handler


def test_a_key_does_not_follow_a_redirect_to_another_place(odd_server: Any, sandbox: Sandbox, call: Call) -> None:
    def redirect(handler: Handler) -> None:
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
    def redirect(status: int) -> Callable[[Handler], None]:
        def answer(handler: Handler) -> None:
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
