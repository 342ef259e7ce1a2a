"""The journal of the sandbox."""

import pytest

from cancel_message_batch.sandbox import Sandbox

from .conftest import Call

BATCHES = "/v1/messages/batches"


def test_the_journal_holds_every_exchange_in_order(server: Sandbox, call: Call) -> None:
    batch_id = server.account.add(10)
    call(server, "GET", f"{BATCHES}?limit=5")
    call(server, "POST", f"{BATCHES}/{batch_id}/cancel")
    call(server, "POST", BATCHES, json={"requests": []})
    call(server, "GET", "/nowhere")
    assert [(each.method, each.path, each.query, each.status, each.body) for each in server.journal] == [
        ("GET", BATCHES, {"limit": "5"}, 200, None),
        ("POST", f"{BATCHES}/{batch_id}/cancel", {}, 200, None),
        ("POST", BATCHES, {}, 400, {"requests": []}),
        ("GET", "/nowhere", {}, 404, None),
    ]
    assert server.journal[0].headers["anthropic-version"] == "2023-06-01"
    assert server.journal[0].at == pytest.approx(server.account.now(), abs=60)


@pytest.mark.parametrize(
    ("header", "sent", "kept"),
    [
        ("x-api-key", "key-of-somebody-1234", "…1234"),
        ("authorization", "Bearer token-of-somebody-1234", "Bearer …1234"),
        ("authorization", "token-of-somebody-1234", "…1234"),
        ("cookie", "a=secret-one; b=secret-1234", "…1234"),
        ("x-api-key", "short", "…"),
    ],
)
def test_no_credential_is_in_the_journal(header: str, sent: str, kept: str, server: Sandbox, call: Call) -> None:
    call(server, "GET", BATCHES, {"x-api-key": None, header: sent})
    (exchange,) = server.journal
    assert exchange.headers[header] == kept
    shown = call(server, "GET", "/_sandbox/requests").text
    for secret in ("somebody", "secret", "short"):
        assert secret not in repr(exchange) + shown
