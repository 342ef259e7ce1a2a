"""The answers of the sandbox's API, case by case."""

import json
import subprocess
from typing import Any

import pytest

from cancel_message_batch.sandbox import Account, Sandbox
from cancel_message_batch.sandbox.app import MOCK_PREFIX, PREFIXES
from cancel_message_batch.sandbox.inputs import LARGEST_BATCH
from cancel_message_batch.sandbox.simulated_batch import DAY, DOCUMENTED_ID

from .conftest import HEADERS, Call, Serve

BATCHES = "/v1/messages/batches"
PARAMS = {"model": "claude-sonnet-5-5", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
REQUEST = {"custom_id": "q-1", "params": PARAMS}


def refused(answer: Any, status: int, kind: str, words: str = "") -> None:
    """Check an error: its status, the envelope, and that its request id is the header's."""
    assert answer.status_code == status
    envelope = answer.json()
    assert envelope["type"] == "error"
    assert envelope["error"]["type"] == kind
    assert words in envelope["error"]["message"]
    assert envelope["request_id"] == answer.headers["request-id"]


# The documented batch.


def test_the_documented_curl_gives_the_documented_values(serve: Serve) -> None:
    sandbox = serve(account=None)
    url = f"{sandbox.url}{MOCK_PREFIX}/messages/batches/{DOCUMENTED_ID}/cancel"
    command = ["curl", "-s", "-X", "POST", url, "-H", "anthropic-version: 2023-06-01", "-H", "x-api-key: your-api-key"]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
    assert answer == {
        "id": "msgbatch_013Zva2CMHLNnXjNJJKqJ2EF",
        "type": "message_batch",
        "processing_status": "canceling",
        "request_counts": {"processing": 50, "succeeded": 40, "errored": 5, "canceled": 5, "expired": 0},
        "created_at": "2024-08-20T18:37:24Z",
        "expires_at": "2024-08-21T18:37:24.100435Z",
        "archived_at": None,
        "cancel_initiated_at": "2024-08-20T19:00:00Z",
        "ended_at": None,
        "results_url": None,
    }


def test_the_documented_batch_is_in_progress_until_it_is_canceled_and_canceling_from_then_on(
    serve: Serve, call: Call
) -> None:
    sandbox = serve(account=None)
    path = f"{BATCHES}/{DOCUMENTED_ID}"
    before = call(sandbox, "GET", path).json()
    assert before["processing_status"] == "in_progress"
    assert before["request_counts"] == {"processing": 60, "succeeded": 36, "errored": 4, "canceled": 0, "expired": 0}
    assert before["cancel_initiated_at"] is None
    first = call(sandbox, "POST", f"{path}/cancel").json()
    # The number of requests is the same before and after, and what is done stays done.
    assert sum(first["request_counts"].values()) == sum(before["request_counts"].values())
    assert all(first["request_counts"][done] >= before["request_counts"][done] for done in ("succeeded", "errored"))
    sandbox.account.advance(10 * DAY)
    assert call(sandbox, "POST", f"{path}/cancel").json() == first
    assert call(sandbox, "GET", path).json() == first
    assert call(sandbox, "GET", BATCHES).json()["last_id"] == DOCUMENTED_ID


def test_the_documented_batch_is_not_canceled_when_a_sandbox_starts(serve: Serve, call: Call) -> None:
    call(serve(account=None), "POST", f"{BATCHES}/{DOCUMENTED_ID}/cancel")
    answer = call(serve(account=None), "GET", f"{BATCHES}/{DOCUMENTED_ID}")
    assert answer.json()["processing_status"] == "in_progress"


# Where the API is.


@pytest.mark.parametrize("mount", PREFIXES)
def test_the_api_is_below_each_of_its_base_urls_and_so_are_the_results(mount: str, serve: Serve, call: Call) -> None:
    sandbox = serve()
    batch_id = sandbox.account.add(5, status="ended")
    url = call(sandbox, "GET", f"{mount}/messages/batches/{batch_id}").json()["results_url"]
    assert url == f"{sandbox.url}{mount}/messages/batches/{batch_id}/results"
    assert len(call(sandbox, "GET", url.removeprefix(sandbox.url)).text.splitlines()) == 5


def test_the_results_are_at_the_host_that_the_client_knows(server: Sandbox, call: Call) -> None:
    batch_id = server.account.add(5, status="ended")
    shown = call(server, "GET", f"{BATCHES}/{batch_id}", {"host": "localhost:81"}).json()
    assert shown["results_url"] == f"http://localhost:81{BATCHES}/{batch_id}/results"


@pytest.mark.parametrize(
    "path",
    [
        "/index.html",
        "/v1",
        "/v2/messages/batches",
        f"{BATCHES}/",
        f"{BATCHES}/a/b",
        f"{BATCHES}/a%2Fb",
        f"{MOCK_PREFIX}/x",
    ],
)
def test_an_unknown_path_is_not_found(path: str, server: Sandbox, call: Call) -> None:
    refused(call(server, "GET", path), 404, "not_found_error")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", BATCHES, {"GET", "HEAD", "POST"}),
        ("DELETE", BATCHES, {"GET", "HEAD", "POST"}),
        ("POST", f"{BATCHES}/x", {"GET", "HEAD", "DELETE"}),
        ("GET", f"{BATCHES}/x/cancel", {"POST"}),
        ("GET", "/v1/messages", {"POST"}),
        ("PUT", "/_sandbox/requests", {"GET", "HEAD", "DELETE"}),
    ],
)
def test_a_wrong_method_is_refused_and_the_right_ones_are_named(
    method: str, path: str, allowed: set[str], server: Sandbox, call: Call
) -> None:
    answer = call(server, method, path)
    assert answer.status_code == 405
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", [BATCHES, f"{BATCHES}/x", "/_sandbox/batches"])
def test_a_fault_of_the_sandbox_itself_comes_in_the_envelope_too(
    path: str, server: Sandbox, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("get", "page", "batches"):
        monkeypatch.setattr(server.account, name, None)
    refused(call(server, "GET", path), 500, "api_error", "sandbox")


def test_request_ids_differ_at_each_start_unless_there_is_a_seed(serve: Serve, call: Call) -> None:
    def first_id(account: Account) -> str:
        return str(call(serve(account=account), "GET", "/v1/messages/batches").headers["request-id"])

    assert first_id(Account(seed=1)) == first_id(Account(seed=1)) != first_id(Account(seed=2))
    assert first_id(Account()) != first_id(Account())


def test_every_answer_has_a_request_id_and_the_accounts_date(server: Sandbox, call: Call) -> None:
    server.account.advance(400 * DAY)
    first, second = (call(server, "GET", BATCHES) for _ in range(2))
    assert first.headers["request-id"] != second.headers["request-id"]
    assert first.headers["anthropic-organization-id"]
    # The date is what clients reckon a batch's age by.
    server.account.add(1)
    created = call(server, "GET", BATCHES).json()["data"][0]["created_at"]
    assert created[:4] in first.headers["date"]


def test_a_head_request_gets_the_headers_alone(server: Sandbox, call: Call) -> None:
    answer = call(server, "HEAD", BATCHES)
    assert (answer.status_code, answer.content) == (200, b"")


# Who may do what.


@pytest.mark.parametrize("headers", [{"x-api-key": "any"}, {"x-api-key": None, "authorization": "Bearer any"}])
@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
def test_any_key_or_token_and_both_versions_are_accepted(
    headers: dict[str, str | None], version: str, server: Sandbox, call: Call
) -> None:
    assert call(server, "GET", BATCHES, {**headers, "anthropic-version": version}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": None},
        {"x-api-key": ""},
        {"x-api-key": None, "authorization": "Bearer"},
        {"x-api-key": None, "authorization": "Basic any"},
        {"x-api-key": "any", "authorization": "Bearer any"},
        {"x-api-key": "invalid"},
        {"x-api-key": None, "authorization": "Bearer invalid"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", BATCHES), ("POST", f"{BATCHES}/x/cancel"), ("GET", "/v1/models")])
def test_a_request_without_a_valid_credential_is_refused(
    headers: dict[str, str | None], method: str, path: str, server: Sandbox, call: Call
) -> None:
    refused(call(server, method, path, headers), 401, "authentication_error")


@pytest.mark.parametrize("version", [None, "", "2020-01-01"])
def test_a_version_that_is_missing_or_unknown_is_refused(version: str | None, server: Sandbox, call: Call) -> None:
    answer = call(server, "GET", BATCHES, {"anthropic-version": version})
    refused(answer, 400, "invalid_request_error", "anthropic-version")


def test_a_key_without_permission_is_refused_at_the_batches_only(serve: Serve, call: Call) -> None:
    sandbox = serve(account=None)
    key: dict[str, str | None] = {"x-api-key": "forbidden"}
    for method, path in (("GET", BATCHES), ("POST", BATCHES), ("POST", f"{BATCHES}/{DOCUMENTED_ID}/cancel")):
        refused(call(sandbox, method, path, key), 403, "permission_error")
    assert call(sandbox, "GET", "/v1/models", key).status_code == 200


def test_a_key_without_credit_can_do_all_but_create(serve: Serve, call: Call) -> None:
    sandbox = serve(account=None)
    key: dict[str, str | None] = {"x-api-key": "no-credit"}
    refused(call(sandbox, "POST", BATCHES, key, json={"requests": [REQUEST]}), 402, "billing_error")
    assert call(sandbox, "POST", f"{BATCHES}/{DOCUMENTED_ID}/cancel", key).status_code == 200


@pytest.mark.parametrize("headers", [{"x-api-key": "other-key"}, {"anthropic-workspace-id": "wrkspc_elsewhere"}])
def test_another_workspaces_batch_answers_as_if_it_did_not_exist(
    headers: dict[str, str | None], serve: Serve, call: Call
) -> None:
    sandbox = serve(account=None)
    path = f"{BATCHES}/{DOCUMENTED_ID}"
    for method, each in (("GET", path), ("POST", f"{path}/cancel"), ("DELETE", path), ("GET", f"{path}/results")):
        refused(call(sandbox, method, each, headers), 404, "not_found_error")
    assert call(sandbox, "GET", BATCHES, headers).json()["data"] == []
    made = call(sandbox, "POST", BATCHES, headers, json={"requests": [REQUEST]}).json()
    assert call(sandbox, "GET", BATCHES, headers).json()["first_id"] == made["id"]
    refused(call(sandbox, "GET", f"{BATCHES}/{made['id']}"), 404, "not_found_error")


def test_the_default_workspace_can_be_named(serve: Serve, call: Call) -> None:
    sandbox = serve(account=None)
    path = f"{BATCHES}/{DOCUMENTED_ID}"
    assert call(sandbox, "GET", path, {"anthropic-workspace-id": "wrkspc_default"}).status_code == 200
    refused(call(sandbox, "GET", path, {"anthropic-workspace-id": "default"}), 400, "invalid_request_error")


def test_a_response_names_its_workspace_even_with_an_error_unless_the_sandbox_is_set_not_to(
    serve: Serve, call: Call
) -> None:
    sandbox, silent = serve(account=None), serve(account=None, workspace_header=False)
    for path in (BATCHES, f"{BATCHES}/msgbatch_unknown"):
        assert call(sandbox, "GET", path).headers["anthropic-workspace-id"] == "wrkspc_default"
        assert call(sandbox, "GET", path, {"x-api-key": "other"}).headers["anthropic-workspace-id"] == "wrkspc_other"
        assert "anthropic-workspace-id" not in call(silent, "GET", path).headers


# Listing.


@pytest.fixture
def ids(server: Sandbox) -> list[str]:
    """Seven batches, the newest first."""
    return [server.account.add(1, age=60.0 * age) for age in range(7)]


def test_a_list_is_newest_first(server: Sandbox, ids: list[str], call: Call) -> None:
    page = call(server, "GET", BATCHES).json()
    assert [batch["id"] for batch in page["data"]] == ids
    assert (page["has_more"], page["first_id"], page["last_id"]) == (False, ids[0], ids[-1])


def test_twenty_are_listed_unless_a_limit_says_otherwise(server: Sandbox, call: Call) -> None:
    for _ in range(21):
        server.account.add(1)
    page = call(server, "GET", BATCHES).json()
    assert (len(page["data"]), page["has_more"]) == (20, True)
    assert len(call(server, "GET", BATCHES, params={"limit": 1000}).json()["data"]) == 21


@pytest.mark.parametrize(
    ("query", "expected", "more"),
    [
        ({"limit": 3}, [0, 1, 2], True),
        ({"limit": 7}, [0, 1, 2, 3, 4, 5, 6], False),
        ({"limit": 3, "after_id": 2}, [3, 4, 5], True),
        ({"limit": 3, "after_id": 3}, [4, 5, 6], False),
        ({"limit": 3, "after_id": 6}, [], False),
        ({"limit": 3, "before_id": 6}, [3, 4, 5], True),
        ({"limit": 3, "before_id": 3}, [0, 1, 2], False),
        ({"limit": 3, "before_id": 1}, [0], False),
        ({"limit": 3, "before_id": 0}, [], False),
    ],
)
def test_pages_lie_next_to_their_cursor_and_know_whether_more_follow(
    query: dict[str, int], expected: list[int], *, more: bool, server: Sandbox, ids: list[str], call: Call
) -> None:
    params = {name: ids[value] if name != "limit" else value for name, value in query.items()}
    page = call(server, "GET", BATCHES, params=params).json()
    assert [batch["id"] for batch in page["data"]] == [ids[index] for index in expected]
    assert page["has_more"] is more
    assert page["first_id"] == (ids[expected[0]] if expected else None)
    assert page["last_id"] == (ids[expected[-1]] if expected else None)


@pytest.mark.parametrize("cursor", ["after_id", "before_id"])
def test_every_batch_is_listed_once_although_each_is_deleted_as_it_comes(
    cursor: str, server: Sandbox, call: Call
) -> None:
    ids = [server.account.add(1, status="ended") for _ in range(7)]
    first = server.account.add(1) if cursor == "after_id" else server.account.add(1, age=3 * DAY, status="ended")
    seen: list[str] = []
    more = True
    while more:
        page = call(server, "GET", BATCHES, params={"limit": 2, cursor: seen[-1] if seen else first}).json()
        for batch in page["data"][:: 1 if cursor == "after_id" else -1]:
            call(server, "DELETE", f"{BATCHES}/{batch['id']}")
            seen.append(batch["id"])
        more = page["has_more"]
    assert seen == (ids[::-1] if cursor == "after_id" else ids)
    assert [batch["id"] for batch in call(server, "GET", BATCHES).json()["data"]] == [first]


def test_a_batch_can_be_added_again_under_the_id_of_a_deleted_one(server: Sandbox, call: Call) -> None:
    older, again = server.account.add(1, status="ended", age=DAY), "msgbatch_01again"
    for age in (2 * DAY, 0):
        server.account.add(1, status="ended", age=age, batch_id=again)
        listed = call(server, "GET", BATCHES).json()["data"]
        assert [batch["id"] for batch in listed] == ([older, again] if age else [again, older])
        call(server, "DELETE", f"{BATCHES}/{again}")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "limit=",
        "limit=1.5",
        "after_id=msgbatch_x",
        "before_id=msgbatch_x",
    ],
)
def test_a_bad_limit_or_cursor_is_refused(query: str, server: Sandbox, call: Call) -> None:
    refused(call(server, "GET", f"{BATCHES}?{query}"), 400, "invalid_request_error", query.partition("=")[0])


def test_both_cursors_at_once_are_refused(server: Sandbox, ids: list[str], call: Call) -> None:
    params = {"after_id": ids[0], "before_id": ids[2]}
    refused(call(server, "GET", BATCHES, params=params), 400, "invalid_request_error")


def test_unknown_parameters_are_ignored(server: Sandbox, ids: list[str], call: Call) -> None:
    assert len(call(server, "GET", f"{BATCHES}?beta=true").json()["data"]) == len(ids)


# Creating.


def test_a_created_batch_is_in_progress_and_ends_with_a_result_for_each_request(server: Sandbox, call: Call) -> None:
    requests = [{"custom_id": f"q-{index}", "params": PARAMS} for index in range(4)]
    requests.append({"custom_id": "bad", "params": {"model": "claude-x"}})
    made = call(server, "POST", BATCHES, json={"requests": requests}).json()
    assert made["processing_status"] == "in_progress"
    assert made["request_counts"] == {"processing": 5, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    server.account.advance(DAY)
    path = f"{BATCHES}/{made['id']}"
    ended = call(server, "GET", path).json()
    assert ended["processing_status"] == "ended"
    assert ended["request_counts"] == {"processing": 0, "succeeded": 4, "errored": 1, "canceled": 0, "expired": 0}
    answer = call(server, "GET", f"{path}/results")
    lines = {line["custom_id"]: line["result"] for line in map(json.loads, answer.text.splitlines())}
    assert set(lines) == {"q-0", "q-1", "q-2", "q-3", "bad"}
    assert lines["q-0"]["type"] == "succeeded"
    assert lines["bad"]["error"]["error"] == {"type": "invalid_request_error", "message": "max_tokens: Field required"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[]", "JSON"),
        (b"\xff", "JSON"),
        (b"{}", "requests"),
        (b'{"requests": 1}', "requests"),
        (b'{"requests": []}', "requests"),
        (b'{"requests": [1]}', "requests.0: Input should be an object"),
        (b'{"requests": [{"params": {}}]}', "custom_id"),
        (b'{"requests": [{"custom_id": 1, "params": {}}]}', "custom_id"),
        (b'{"requests": [{"custom_id": "", "params": {}}]}', "custom_id"),
        (b'{"requests": [{"custom_id": "a b", "params": {}}]}', "custom_id"),
        (b'{"requests": [{"custom_id": "a\\n", "params": {}}]}', "custom_id"),
        (b'{"requests": [{"custom_id": "\xc3\xa4", "params": {}}]}', "custom_id"),
        (b'{"requests": [{"custom_id": "%s", "params": {}}]}' % (b"a" * 65), "custom_id"),
        (b'{"requests": [{"custom_id": "a"}]}', "params"),
        (b'{"requests": [{"custom_id": "a", "params": []}]}', "params"),
        (b'{"requests": [{"custom_id": "a", "params": {}}, {"custom_id": "a", "params": {}}]}', "requests.1.custom_id"),
        (b"[" * 100_000, "JSON"),
        (b'{"requests": [{"custom_id": "a", "params": {"x": NaN}}]}', "JSON"),
        (b'{"requests": [{"custom_id": "a", "params": {"x": -Infinity}}]}', "JSON"),
        (b'{"requests": [{"custom_id": "a", "params": {"x": 1e999}}]}', "JSON"),
        (b'{"requests": [{"custom_id": "a", "params": {"x": "\\ud800"}}]}', "JSON"),
        (b'{"requests": [{"custom_id": "a", "params": {"\\uDFFF": 1}}]}', "JSON"),
        (b'{"requests": [{"custom_id": "a", "params": {"x": "\xed\xa0\x80"}}]}', "JSON"),
    ],
)
def test_an_invalid_body_creates_no_batch(body: bytes, words: str, server: Sandbox, call: Call) -> None:
    refused(call(server, "POST", BATCHES, content=body), 400, "invalid_request_error", words)
    assert server.account.batches() == []
    assert call(server, "GET", "/_sandbox/requests").status_code == 200  # the journal can still be read


def test_a_body_may_have_any_character_and_be_nested_deeply(server: Sandbox, call: Call) -> None:
    nested: Any = 1.5
    for _ in range(400):
        nested = [nested]
    body = {"requests": [{"custom_id": "a", "params": {"x": "\U0001f600", "nested": nested}}]}
    assert call(server, "POST", BATCHES, json=body).status_code == 200
    assert call(server, "POST", BATCHES, content=json.dumps(body)).status_code == 200  # as a surrogate pair
    assert [each["body"] for each in call(server, "GET", "/_sandbox/requests").json()] == [body, body]


def test_a_custom_id_may_have_64_letters_digits_hyphens_and_underscores(server: Sandbox, call: Call) -> None:
    body = {"requests": [{"custom_id": "aZ0-_" + "x" * 59, "params": {}}]}
    assert call(server, "POST", BATCHES, json=body).status_code == 200


def test_a_batch_has_100_000_requests_at_most(server: Sandbox, call: Call) -> None:
    requests = [{"custom_id": str(index), "params": {}} for index in range(LARGEST_BATCH + 1)]
    refused(call(server, "POST", BATCHES, json={"requests": requests}), 400, "invalid_request_error", "100000")
    made = call(server, "POST", BATCHES, json={"requests": requests[:-1]}).json()
    assert made["request_counts"]["processing"] == LARGEST_BATCH


# Retrieving, canceling, deleting, results: each state.


@pytest.mark.parametrize("batch_id", ["msgbatch_unknown", "batch_abc", "x", "..%2e", "%20", "a" * 10_000])
@pytest.mark.parametrize(("method", "end"), [("GET", ""), ("POST", "/cancel"), ("DELETE", ""), ("GET", "/results")])
def test_an_unknown_or_malformed_id_is_not_found(
    batch_id: str, method: str, end: str, server: Sandbox, call: Call
) -> None:
    refused(call(server, method, f"{BATCHES}/{batch_id}{end}"), 404, "not_found_error")


def test_a_cancel_turns_a_running_batch_to_canceling_and_in_time_it_ends(server: Sandbox, call: Call) -> None:
    path = f"{BATCHES}/{server.account.add(1000, 3600)}"
    canceling = call(server, "POST", f"{path}/cancel").json()
    assert canceling["processing_status"] == "canceling"
    assert canceling["request_counts"]["processing"] == 1000
    assert canceling["cancel_initiated_at"] is not None
    assert canceling["ended_at"] is None
    assert call(server, "GET", path).json() == canceling
    server.account.advance(6)
    ended = call(server, "GET", path).json()
    assert ended["processing_status"] == "ended"
    assert ended["cancel_initiated_at"] == canceling["cancel_initiated_at"]
    assert ended["request_counts"]["succeeded"] > 0
    assert ended["request_counts"]["canceled"] > 0
    assert sum(ended["request_counts"].values()) == 1000


def test_a_cancel_of_a_canceling_batch_changes_nothing(server: Sandbox, call: Call) -> None:
    path = f"{BATCHES}/{server.account.add(1000)}"
    first = call(server, "POST", f"{path}/cancel")
    server.account.advance(1)
    second = call(server, "POST", f"{path}/cancel")
    assert second.status_code == 200
    assert second.json() == first.json()


def test_a_cancel_may_carry_any_body(server: Sandbox, call: Call) -> None:
    path = f"{BATCHES}/{server.account.add(1000)}/cancel"
    assert call(server, "POST", path, content=b"not json").status_code == 200


@pytest.mark.parametrize("status", ["ended", "canceled", "expired", "archived"])
def test_a_cancel_of_an_ended_batch_is_refused_or_answered_by_choice(status: Any, serve: Serve, call: Call) -> None:
    refusing, answering = serve(), serve(cancel_ended="ok")
    path = f"{BATCHES}/{refusing.account.add(10, status=status)}"
    before = call(refusing, "GET", path).json()
    refused(call(refusing, "POST", f"{path}/cancel"), 400, "invalid_request_error", "has ended")
    assert call(refusing, "GET", path).json() == before
    path = f"{BATCHES}/{answering.account.add(10, status=status)}"
    answer = call(answering, "POST", f"{path}/cancel")
    assert answer.status_code == 200
    assert answer.json() == call(answering, "GET", path).json()
    assert answer.json()["processing_status"] == "ended"


@pytest.mark.parametrize("status", ["in_progress", "canceling"])
def test_a_batch_cannot_be_deleted_and_has_no_results_before_it_has_ended(
    status: Any, server: Sandbox, call: Call
) -> None:
    path = f"{BATCHES}/{server.account.add(10, status=status)}"
    assert call(server, "GET", path).json()["results_url"] is None
    refused(call(server, "GET", f"{path}/results"), 400, "invalid_request_error", "not ended")
    refused(call(server, "DELETE", path), 400, "invalid_request_error", status)


def test_a_deleted_batch_is_gone(server: Sandbox, call: Call) -> None:
    batch_id = server.account.add(10, status="ended")
    path = f"{BATCHES}/{batch_id}"
    assert call(server, "DELETE", path).json() == {"id": batch_id, "type": "message_batch_deleted"}
    for method, each in (("GET", path), ("POST", f"{path}/cancel"), ("DELETE", path), ("GET", f"{path}/results")):
        refused(call(server, method, each), 404, "not_found_error")
    assert call(server, "GET", BATCHES).json()["data"] == []


def test_results_past_their_29_days_are_gone_and_the_batch_is_not(server: Sandbox, call: Call) -> None:
    path = f"{BATCHES}/{server.account.add(10, status='archived')}"
    assert call(server, "GET", path).json()["archived_at"] is not None
    refused(call(server, "GET", f"{path}/results"), 404, "not_found_error", "no longer available")


def test_the_results_of_a_large_batch_are_complete(server: Sandbox, call: Call) -> None:
    path = f"{BATCHES}/{server.account.add(20_001, status='canceled', error_every=100)}"
    counts = call(server, "GET", path).json()["request_counts"]
    lines = [json.loads(line) for line in call(server, "GET", f"{path}/results").text.splitlines()]
    assert len({line["custom_id"] for line in lines}) == len(lines) == 20_001
    for outcome in ("succeeded", "errored", "canceled"):
        assert sum(line["result"]["type"] == outcome for line in lines) == counts[outcome] > 0


# The rest.


def test_the_one_model_there_is_can_be_listed(server: Sandbox, call: Call) -> None:
    (model,) = call(server, "GET", "/v1/models").json()["data"]
    assert call(server, "GET", f"/v1/models/{model['id']}").json() == model
    assert "not Claude" in model["display_name"]
    refused(call(server, "GET", "/v1/models/claude"), 404, "not_found_error")


def test_every_nth_request_is_refused_if_the_sandbox_is_set_to_do_so(serve: Serve, call: Call) -> None:
    sandbox = serve(account=Account(), limit_every=3, retry_after="0.1")
    answers = [call(sandbox, "GET", BATCHES) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 200, 200, 429]
    refused(answers[2], 429, "rate_limit_error")
    assert answers[2].headers["retry-after"] == "0.1"
    assert HEADERS["x-api-key"] not in str(sandbox.journal)
