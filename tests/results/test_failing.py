"""Errors that certainly come again, and errors that may pass."""

import pytest

from cancel_message_batch.results.failing import fails_again

from .strange_results import BALANCE, TOO_LONG


@pytest.mark.parametrize(
    ("kind", "message", "certain"),
    [
        ("invalid_request_error", BALANCE, False),
        ("invalid_request_error", "something new", False),
        ("invalid_request_error", TOO_LONG, True),
        ("invalid_request_error", "messages.0.content: Field required", True),
        ("invalid_request_error", "messages.65.content.1.tool_use.text: Extra inputs are not permitted", True),
        ("invalid_request_error", "messages.61.content.0.tool_use.input: Input should be a valid dictionary", True),
        ("invalid_request_error", "max_tokens: 9 > 8, which is the maximum allowed number of output tokens", True),
        ("invalid_request_error", "messages: at least one message is required", True),
        ("invalid_request_error", "the messages should be read: Field required", False),
        ("invalid_request_error", "messages: text content blocks must be non-empty", True),
        ("request_too_large", "", True),
        *(
            (kind, TOO_LONG, False)
            for kind in ("rate_limit_error", "overloaded_error", "billing_error", "permission_error", "not_found_error")
        ),
        *((kind, "x", False) for kind in ("timeout_error", "api_error", "brand_new_error")),
    ],
)
def test_what_certainly_fails_again(kind: str, message: str, certain: bool) -> None:
    assert fails_again(kind, message) is certain
