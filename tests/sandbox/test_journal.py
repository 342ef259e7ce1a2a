"""The journal of the sandbox."""

from collections.abc import Iterator

import pytest

from cancel_message_batch.sandbox import Fault, Sandbox, interceptor, journal

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
        ("POST", BATCHES, {}, 400, None),
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


REQUESTS = {"requests": [{"custom_id": "a", "params": {}}]}


def test_the_journal_holds_the_body_of_a_request_that_was_answered(server: Sandbox, call: Call) -> None:
    for status in (429, 529):
        server.fail(Fault(status=status))
    for status in (429, 529, 200):
        assert call(server, "POST", BATCHES, json=REQUESTS).status_code == status
        assert server.journal[-1].body == REQUESTS


@pytest.mark.parametrize("delay", [0.0, 0.001])
@pytest.mark.parametrize(("key", "status"), [("invalid", 401), ("forbidden", 403), ("no-credit", 402)])
def test_the_journal_holds_no_body_of_a_refused_request(
    key: str, status: int, delay: float, server: Sandbox, call: Call
) -> None:
    if delay:
        server.fault(delay=delay)
    assert call(server, "POST", BATCHES, {"x-api-key": key}, json=REQUESTS).status_code == status
    (entry,) = server.journal
    assert (entry.status, entry.body) == (status, None)


def test_the_journal_holds_no_body_that_was_too_large(
    server: Sandbox, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def body() -> Iterator[bytes]:
        yield b'["' + b"x" * 100 + b'"]'

    monkeypatch.setattr(interceptor, "MAX_BODY", 99)
    assert call(server, "POST", BATCHES, content=body()).status_code == 413
    (entry,) = server.journal
    assert (entry.status, entry.body) == (413, None)
    assert entry.size < 1000


def test_the_journal_forgets_its_oldest_entries_beyond_its_limits(
    server: Sandbox, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def paths() -> list[str]:
        return [entry.path for entry in server.journal]

    monkeypatch.setattr(journal, "MAX_ENTRIES", 2)
    for name in ("a", "b", "c"):
        call(server, "GET", f"/{name}")
    assert paths() == ["/b", "/c"]
    monkeypatch.setattr(journal, "MAX_BYTES", 10_000)
    call(server, "POST", "/long", json="x" * 9_000)
    assert paths() == ["/c", "/long"]
    call(server, "POST", "/longer", json="x" * 12_000)
    assert paths() == ["/longer"]
    server.journal.clear()
    call(server, "GET", "/a")
    call(server, "GET", "/b")
    assert paths() == ["/a", "/b"]
