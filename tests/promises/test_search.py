"""Hypothesis looks for an ID, an answer or an error that breaks a promise; `make soak` looks longer."""

import json
import os
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cancel_message_batch import InvalidInputError, MessageBatchError, MessageBatches
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from cancel_message_batch.tools import CANCEL, GET, LIST
from tests.conftest import KEY

EXAMPLES = int(os.environ.get("EXAMPLES", "60"))
search = settings(
    max_examples=EXAMPLES,
    derandomize="EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TOOLS = {"cancel": CANCEL, "get": GET, "list": LIST}
BOUND = 3000  # characters of a tool's text, for one batch or one error

# What a path, a query, a header or a URL could be led astray by.
_STRANGE = st.text(alphabet=st.sampled_from("/\\.%?#&=;:@\r\n\t\x00 aA1_-~é\u202e\u2215\uff0f")) | st.text()
_ALMOST_AN_ID = st.text(alphabet="/.%aA1_-", min_size=1, max_size=8)
IDS = (
    _STRANGE
    | (_STRANGE | _ALMOST_AN_ID).map("msgbatch_".__add__)
    | st.builds("{}msgbatch_01{}".format, _STRANGE, _STRANGE)
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
# A batch in which some fields are something else, so that the answer gets past the first look at it.
_FIELDS = ["id", "type", "processing_status", "request_counts", "created_at", "expires_at", "ended_at", "results_url"]
_FIELDS += ["cancel_initiated_at", "archived_at"]
ALMOST = st.dictionaries(st.sampled_from(_FIELDS), JSON | st.just("2026-11-24T09:00:00Z"), max_size=4)


@pytest.fixture
def batches(sandbox: Sandbox) -> Iterator[MessageBatches]:
    with MessageBatches(base_url=sandbox.url, api_key=KEY, max_retries=0) as client:
        yield client


def is_harmless(text: str) -> bool:
    """Whether a text has no character that a terminal obeys, besides the ends of lines."""
    return not [one for one in text if one != "\n" and unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]


@search
@given(text=IDS)
def test_no_text_leads_a_request_out_of_the_path_segment_of_its_id(
    sandbox: Sandbox, batches: MessageBatches, text: str
) -> None:
    sandbox.journal.clear()
    for operation in (batches.cancel, batches.retrieve):
        try:
            operation(text)
        except InvalidInputError:
            assert not sandbox.journal
        except MessageBatchError:
            assert sandbox.journal
    said = CANCEL.run({"message_batch_id": text}, batches).text
    assert is_harmless(said)
    assert len(said) < BOUND
    for entry in sandbox.journal:
        found = re.fullmatch(r"/v1/messages/batches/([A-Za-z0-9_-]+)(/cancel)?", entry.path)
        assert found, entry.path
        assert found[1] in text
        assert not entry.query


@search
@given(answer=JSON | ALMOST, tool=st.sampled_from(sorted(TOOLS)), listed=st.booleans())
def test_any_json_as_an_answer_is_read_or_reported_and_never_obeyed(
    sandbox: Sandbox, batches: MessageBatches, answer: Any, tool: str, listed: bool
) -> None:
    sandbox.journal.clear()
    if isinstance(answer, dict):
        answer = {**EXAMPLE, **answer}
    if listed:
        answer = {"data": [answer, answer], "has_more": False}
    sandbox.fail(Fault(status=200, body=json.dumps(answer)))
    outcome = TOOLS[tool].run({} if tool == "list" else {"message_batch_id": EXAMPLE_ID}, batches)
    assert is_harmless(outcome.text), ascii(outcome.text)
    assert 0 < len(outcome.text) < 2 * BOUND
    assert [entry.path for entry in sandbox.journal if entry.method != "GET"] == (
        [f"/v1/messages/batches/{EXAMPLE_ID}/cancel"] if tool == "cancel" else []
    )
    if tool == "cancel" and outcome.result in {"canceling", "already_canceling"}:
        assert answer["id"] == EXAMPLE_ID
        assert answer["processing_status"] == "canceling"


@search
@given(body=st.binary() | JSON.map(lambda value: json.dumps(value).encode()), status=st.integers(400, 599), flat=JSON)
def test_any_bytes_as_an_error_are_reported_in_bounded_harmless_text(
    sandbox: Sandbox, batches: MessageBatches, body: bytes, status: int, flat: Any
) -> None:
    enveloped = json.dumps({"type": "error", "error": {"type": flat, "message": flat}}).encode()
    for sent in (body, enveloped):
        sandbox.fail(Fault(status=status, body=sent, match="cancel"))
        outcome = CANCEL.run({"message_batch_id": EXAMPLE_ID}, batches)
        assert is_harmless(outcome.text), ascii(outcome.text)
        assert 0 < len(outcome.text) < BOUND
        assert outcome.error or outcome.result
        said, quoted, words = outcome.text.partition("not advice: ")
        assert not quoted or (words[0], words[-1], words.count('"')) == ('"', '"', 2)
        assert ("not known whether" in said) == (status >= 500 and status != 529) or not outcome.error


EXAMPLE = {
    "id": EXAMPLE_ID, "type": "message_batch", "processing_status": "canceling", "results_url": None,
    "created_at": "2026-11-24T09:00:00Z", "expires_at": "2026-11-25T09:00:00Z", "ended_at": None, "archived_at": None,
    "cancel_initiated_at": "2026-11-24T10:00:00Z", "request_counts": {"processing": 3},
}  # fmt: skip
