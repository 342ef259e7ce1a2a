"""Reading a create request while it passes by: prompts may hold anything, and bodies are large."""

import json
import tracemalloc

import pytest

from cancel_message_batch.guarding.created import RequestScanner

TRICKY = {
    "model": "not this",
    "requests": [
        {
            "custom_id": 'a"\\',
            "params": {
                "messages": [
                    {"role": "user", "content": '"model": "no", "custom_id": "no" }]} \\'},
                    {"content": [{"type": "tool_use", "input": {"custom_id": "no", "params": {"model": "no"}}}]},
                ],
                "model": "model-ä",
                "metadata": {"model": "no"},
            },
        },
        {"note": "custom_id", "params": {"system": "params", "model": "model-b"}, "custom_id": "z"},
    ],
    "custom_id": "not this",
}


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize("indent", [None, 2])
def test_only_the_requests_own_model_and_custom_id_are_read(piece: int, indent: int | None) -> None:
    body = json.dumps(TRICKY, indent=indent, ensure_ascii=False).encode()
    scanner = RequestScanner()
    for at in range(0, len(body), piece):
        scanner.take(body[at : at + piece])
    assert list(scanner.models) == ["model-ä", "model-b"]
    assert (scanner.first_custom_id, scanner.last_custom_id, scanner.requests) == ('a\\"\\\\', "z", 2)


def test_memory_does_not_grow_with_the_body() -> None:
    scanner = RequestScanner()
    scanner.take(b'{"requests":[{"custom_id":"a","params":{"messages":[{"content":"')
    tracemalloc.start()
    for piece in (b"x" * 2**18, b'\\"' * 2**17, b"\\" * 2**18):
        for _ in range(8):
            scanner.take(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    scanner.take(b'"}],"model":"m"}}]}')
    assert list(scanner.models) == ["m"]
    assert peak < 2**21  # of 6 MiB


@pytest.mark.parametrize(
    "body", [b"", b"]]]]}", b'{"requests":', b'{"requests":[{"custom_id":3}]}', b"\xff\x00\x1f\x8b" * 99]
)
def test_a_body_of_another_kind_tells_nothing(body: bytes) -> None:
    scanner = RequestScanner()
    scanner.take(body)
    scanner.take(b'"custom_id":"a"')
    assert (scanner.models, scanner.requests) == ({}, 0)
