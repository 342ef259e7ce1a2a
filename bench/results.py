"""Serve a batch with results of 1.7 KB each, and fetch them as the peers do: `make bench PARTS=results`."""

import json
import os
import sys
import time
from collections.abc import AsyncIterator

BATCH = "msgbatch_013Zva2CMHLNnXjNJJKqJ2EF"
_USAGE = {"input_tokens": 300, "output_tokens": 350, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


def _line(number: int) -> bytes:
    """Return a result: 60 of 100 succeeded, 34 canceled, 5 errored, 1 expired."""
    custom_id, share = f"request-{number:07d}", number % 100
    if share < 60:
        content = [{"type": "text", "text": "All work and no play. " * 110}]
        message = {"id": f"msg_{number:020d}", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5"}
        message |= {"content": content, "stop_reason": "end_turn", "stop_sequence": None, "usage": _USAGE}
        result = {"type": "succeeded", "message": message}
    elif share < 65:
        error = {"type": "api_error", "message": "Internal server error"}
        result = {"type": "errored", "error": {"type": "error", "error": error, "request_id": f"req_{number:020d}"}}
    else:
        result = {"type": "expired" if share == 65 else "canceled"}
    return json.dumps({"custom_id": custom_id, "result": result}).encode() + b"\n"


def serve(results: int) -> None:
    """Serve so many results; prints the address."""
    import asyncio

    hundred = [_line(number) for number in range(100)]
    counts = {"succeeded": results * 60 // 100, "errored": results * 5 // 100, "expired": results // 100}
    counts |= {"canceled": results - sum(counts.values()), "processing": 0}

    def batch(address: str) -> bytes:
        times = {"created_at": "2126-11-24T10:00:00Z", "expires_at": "2126-11-25T10:00:00Z"}
        described = {"id": BATCH, "type": "message_batch", "processing_status": "ended", "request_counts": counts}
        described |= {**times, "ended_at": "2126-11-24T11:00:00Z", "archived_at": None, "cancel_initiated_at": None}
        return json.dumps({**described, "results_url": f"{address}/v1/messages/batches/{BATCH}/results"}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, results, 100):
            yield b"".join(
                line.replace(b"request-%07d" % at, b"request-%07d" % (start + at)) for at, line in enumerate(hundred)
            )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"/results " not in head.split(b"\r\n", 1)[0]:
                    body = batch(url)
                    writer.write(
                        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
                        % (len(body), body)
                    )
                    await writer.drain()
                    continue
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-jsonl\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                async for piece in pieces():
                    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    url = ""

    async def run() -> None:
        nonlocal url
        listening = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        print(url, flush=True)
        await listening.serve_forever()

    asyncio.run(run())


def requests(results: int, path: str) -> None:
    """Write the requests of the batch, 1.5 KB each."""
    messages = [{"role": "user", "content": "Why is the sky blue? " * 65}]
    params = {"model": "claude-sonnet-5-5", "max_tokens": 1024, "messages": messages}
    with open(path, "w") as file:
        file.writelines(
            json.dumps({"custom_id": f"request-{number:07d}", "params": params}) + "\n" for number in range(results)
        )


def sdk(path: str) -> None:
    """Write the results with the official SDK's loop."""
    import anthropic

    with open(path, "w") as file:
        file.writelines(
            result.to_json(indent=None) + "\n" for result in anthropic.Anthropic().messages.batches.results(BATCH)
        )


def bare(path: str) -> None:
    """Write the results with httpx2 alone."""
    import httpx2

    url = f"{os.environ['ANTHROPIC_BASE_URL']}/v1/messages/batches/{BATCH}/results"
    headers = {"x-api-key": os.environ["ANTHROPIC_API_KEY"], "anthropic-version": "2023-06-01"}
    with httpx2.Client() as client, client.stream("GET", url, headers=headers) as answer, open(path, "wb") as file:
        file.writelines(answer.iter_raw())


def ask(times: int) -> None:
    """Retrieve the batch again and again, over one connection; prints milliseconds a request."""
    import httpx2

    url = f"{os.environ['ANTHROPIC_BASE_URL']}/v1/messages/batches/{BATCH}"
    with httpx2.Client() as client:
        client.get(url)
        began = time.perf_counter()
        for _ in range(times):
            client.get(url)
        print((time.perf_counter() - began) / times * 1000)


def take() -> None:
    """Read the results with httpx2 and drop them; prints seconds."""
    import httpx2

    url = f"{os.environ['ANTHROPIC_BASE_URL']}/v1/messages/batches/{BATCH}/results"
    with httpx2.Client() as client:
        began = time.perf_counter()
        with client.stream("GET", url) as answer:
            for _ in answer.iter_raw():
                pass
        print(time.perf_counter() - began)


if __name__ == "__main__":
    what = {"serve": lambda: serve(int(sys.argv[2])), "requests": lambda: requests(int(sys.argv[2]), sys.argv[3])}
    what |= {"sdk": lambda: sdk(sys.argv[2]), "bare": lambda: bare(sys.argv[2])}
    what |= {"ask": lambda: ask(int(sys.argv[2])), "take": take}
    what[sys.argv[1]]()
