"""The admin API of the sandbox."""

import json
import re
from typing import Any

import pytest
from tests.conftest import ROOT

from cancel_message_batch.sandbox import FAULTS, JournalEntry, Sandbox, admin

from .conftest import HEADERS, Call

BATCHES = "/v1/messages/batches"


def test_the_journal_can_be_read_and_cleared_over_http(server: Sandbox, call: Call) -> None:
    call(server, "GET", BATCHES)
    (shown,) = call(server, "GET", "/_sandbox/requests").json()
    assert JournalEntry(**shown) == server.journal[0]
    assert call(server, "DELETE", "/_sandbox/requests").status_code == 204
    assert server.journal == []


def test_faults_can_be_queued_over_http(server: Sandbox, call: Call) -> None:
    wanted = {"match": "GET", "status": 500}
    assert call(server, "POST", "/_sandbox/faults", json=wanted).status_code == 204
    assert call(server, "GET", "/_sandbox/faults").json() == [wanted]
    assert call(server, "GET", "/_sandbox/requests").status_code == 200  # faults befall the API alone
    assert call(server, "GET", BATCHES).status_code == 500
    assert call(server, "GET", BATCHES).status_code == 200
    assert call(server, "GET", "/_sandbox/faults").json() == server.faults == []
    call(server, "POST", "/_sandbox/faults", json={**wanted, "times": 0})
    assert call(server, "DELETE", "/_sandbox/faults").status_code == 204
    assert call(server, "GET", BATCHES).status_code == 200


def test_the_clock_can_be_advanced_and_batches_added_over_http(server: Sandbox, call: Call) -> None:
    added = call(
        server, "POST", "/_sandbox/batches", json={"requests": 100, "age_seconds": 60, "status": "in_progress"}
    )
    batch_id = added.json()["id"]
    call(server, "POST", f"{BATCHES}/{batch_id}/cancel")
    (truth,) = call(server, "GET", "/_sandbox/batches").json()
    assert truth["id"] == batch_id
    assert (truth["processing_status"], truth["requests"], truth["canceled"]) == ("canceling", 100, True)
    assert call(server, "POST", "/_sandbox/advance", json={"seconds": 6}).status_code == 200
    (truth,) = call(server, "GET", "/_sandbox/batches").json()
    assert truth["processing_status"] == "ended"
    assert truth["age_seconds"] >= 66


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"matches": "x"}),
        ("faults", {"match": "*" * 1_001}),
        ("faults", {"times": -1}),
        ("faults", []),
        ("faults", {}),
        ("faults", {"name": []}),
        ("faults", {"operation": "cancel", "call": 2}),
        ("faults", {"operation": "cancel", "match": "cancel", "status": 500}),
        ("faults", {"hang": True, "status": 500}),
        ("faults", {"change": "gzip", "status": 500}),
        ("faults", {"headers": {"retry-after": "2"}}),
        ("faults", {"cut": -1}),
        ("faults", {"status": 99}),
        ("faults", {"headers": {"x": "\n"}}),
        ("advance", b'{"seconds": NaN}'),
        ("advance", b'{"seconds": 1e999}'),
        ("advance", {"seconds": 1e11}),
        ("batches", {"requests": 100_001}),
        ("batches", {"requests": 1, "age_seconds": 1e11}),
        ("batches", b'{"requests": 1, "age_seconds": Infinity}'),
        ("batches", {"requests": 1, "error_every": -1}),
        ("advance", {}),
        ("advance", {"seconds": -1}),
        ("batches", {"requests": 0}),
        ("batches", {"requests": 1, "status": "paused"}),
        ("batches", {"requests": 1, "age": 5}),
    ],
)
def test_an_invalid_body_is_refused_and_changes_nothing(path: str, body: Any, server: Sandbox, call: Call) -> None:
    answer = call(server, "POST", f"/_sandbox/{path}", content=body if isinstance(body, bytes) else json.dumps(body))
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert server.account.batches() == []


def test_the_admin_api_needs_no_credential_and_is_not_in_the_journal(server: Sandbox, call: Call) -> None:
    answer = call(server, "GET", "/_sandbox/batches", dict.fromkeys(HEADERS))
    assert answer.json() == []
    assert server.journal == []
    assert call(server, "GET", "/_sandbox/nothing").status_code == 404


def test_the_front_page_leads_a_browser_on_and_gives_a_program_json(server: Sandbox, call: Call) -> None:
    nothing = dict.fromkeys(HEADERS)
    page = call(server, "GET", "/", {**nothing, "accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    links = re.findall(r'href="(.*?)"', page.text)
    assert {call(server, "GET", link, nothing).status_code for link in links} == {200}
    paths = call(server, "GET", "/", nothing).json()["paths"]
    for path in paths:
        method, _, address = path.partition(" ")
        assert call(server, method, address.replace("{id}", "msgbatch_1"), json={}).status_code != 405
        assert path in page.text
    assert "/" not in [entry.path for entry in server.journal]


def test_every_path_and_every_fault_with_a_name_is_in_the_page_about_the_sandbox(server: Sandbox, call: Call) -> None:
    text = (ROOT / "docs" / "sandbox.md").read_text()
    shown = {path.split()[1] for path in call(server, "GET", "/").json()["paths"]}
    assert {f"/_sandbox{route.path}" for route in admin.ROUTES} == {path for path in shown if path.startswith("/_")}
    assert [path for path in shown if path.startswith("/_sandbox") and path not in text] == []
    named = {name.removeprefix("status ") for name in FAULTS}
    assert [name for name in named if not re.search(rf"\b{name}\b", text)] == []
