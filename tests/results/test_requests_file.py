"""The file of requests, in every form that people keep it in."""

import gzip
import json
from pathlib import Path

import pytest

from cancel_message_batch.api.errors import InvalidInputError
from cancel_message_batch.results.requests_file import RequestsFile

ONE, TWO = {"custom_id": "a", "params": {"n": 1.50}}, {"custom_id": "b", "params": {"t": "é\n"}}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([ONE, TWO]),
        json.dumps({"requests": [ONE, TWO]}, indent=2),
        json.dumps([ONE, TWO], indent=4, ensure_ascii=False),
        json.dumps(ONE, indent=1) + "\n" + json.dumps(TWO, indent=1),
        json.dumps(ONE) + "\n\n" + json.dumps(TWO),
        json.dumps(ONE) + "\r\n" + json.dumps(TWO) + "\r\n",
        "\ufeff" + json.dumps(ONE) + "\n" + json.dumps(TWO) + "\n",
        "\ufeff" + json.dumps([ONE, TWO]),
    ],
    ids=["list", "body", "indented list", "indented values", "lines", "CRLF", "BOM", "list with BOM"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_every_form_of_a_requests_file_gives_the_same_requests(tmp_path: Path, text: str, packed: bool) -> None:
    path = tmp_path / "requests"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    requests = RequestsFile(path)
    assert [json.loads(one) for one in requests] == [ONE, TWO]
    assert all(one.index(b"\n") == len(one) - 1 for one in requests)
    assert len(requests.custom_ids) == 2


def test_a_long_list_is_read_in_pieces(tmp_path: Path) -> None:
    many = [{"custom_id": f"r-{n}", "params": {"text": "x" * (n % 7) * 10_000}} for n in range(200)]
    (tmp_path / "requests").write_text(json.dumps({"requests": many}))
    assert [json.loads(one) for one in RequestsFile(tmp_path / "requests")] == many


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "holds no requests"),
        (b"[]", "holds no requests"),
        (b"custom_id,params\na,b\n", "request 1 of .* is not JSON"),
        (b'{"custom_id": "a", "params": {}}\n{"custom_id": \n', "request 2 of .* is not JSON"),
        (b'{"params": {}}\n', "request 1 of .* has no custom_id"),
        (b'{"custom_id": 7}\n', "request 1 of .* has no custom_id"),
        (b'{"custom_id": "a", "method": "POST", "body": {}}', "request 1 of .* has no params"),
        (b'[{"custom_id": "a", "params": {}}, {"custom_id": ', "not JSON after its request 1"),
        (b'{"requests": [{"custom_id": "a", "params": {}}', "not JSON after its request 1"),
        (b"[\xff\xfe]", "not UTF-8"),
        (gzip.compress(b'{"custom_id": "a", "params": {}}\n' * 5000)[:-12], "cut short"),
        (b"\x1f\x8bnot gzip", "cut short, or is not gzip"),
    ],
)
def test_what_is_not_a_requests_file_is_refused(tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "requests").write_bytes(content)
    with pytest.raises(InvalidInputError, match=fault):
        RequestsFile(tmp_path / "requests")


def test_a_requests_file_that_is_missing_or_not_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot be read: No such file"):
        RequestsFile(tmp_path / "missing")
    with pytest.raises(InvalidInputError, match="not a regular file"):
        RequestsFile(tmp_path)
