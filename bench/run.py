"""Measure against the peers, in one run, on loopback: `make bench`. Prints a table and writes nothing.

Every figure is the median of several runs of whole processes. The commands take turns, so that a busy moment affects
all of them.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

PEERS = [sys.executable, str(Path(__file__).with_name("peers.py"))]
PROGRAM = Path(sys.executable).parent / "cancel-message-batch"
BATCH = "msgbatch_013Zva2CMHLNnXjNJJKqJ2EF"


@dataclass
class Run:
    """One process: wall time in seconds, peak memory in MiB, processor time in seconds."""

    seconds: float
    memory: float
    processor: float = 0.0


def run(command: list[str], url: str, stdin: str = "") -> Run:
    """Run a process to its end and measure it."""
    environment = {**os.environ, "ANTHROPIC_API_KEY": "bench", "ANTHROPIC_BASE_URL": url}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages are compiled, so compile everything here too
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as errors:
        given.write(stdin)
        given.seek(0)
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=given, stdout=subprocess.DEVNULL, stderr=errors, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)[:200]} failed: {errors.read()[-2000:]}")
    return Run(seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def medians(
    commands: dict[str, list[str]], url: str, times: int, stdin: str = "", *, output: Path | None = None
) -> dict[str, Run]:
    """Run each command several times, in turn, after a warm-up; each without the output of the ones before."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for turn in range(times + 1):
        for name, command in commands.items():
            if output:
                shutil.rmtree(output, ignore_errors=True)
                output.mkdir()
            measured = run(command, url, stdin)
            if turn:
                runs[name].append(measured)
    return {
        name: Run(*(statistics.median(getattr(r, part) for r in all_) for part in ("seconds", "memory", "processor")))
        for name, all_ in runs.items()
    }


@contextlib.contextmanager
def serving(command: list[str]) -> Iterator[str]:
    """Start a server that prints its address, and stop it afterwards."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        for line in process.stdout:
            if "http://" in line:
                yield line[line.index("http://") :].split()[0]
                break
    finally:
        process.terminate()
        process.wait()


def target(figure: str, wanted: str, *, reached: bool) -> None:
    """Print a figure beside its target."""
    print(f"  {figure} (target: {wanted}{'' if reached else ': MISSED'})")


def control(url: str, path: str) -> Any:
    """Ask the sandbox what it received."""
    with urllib.request.urlopen(f"{url}/_sandbox/{path}") as answer:
        return json.load(answer)


def cancel(times: int) -> None:
    """Cancel one batch: a whole process, against a server with a fixed answer."""
    commands = {
        "bare script (httpx2, pydantic)": [*PEERS, "bare", BATCH],
        "anthropic SDK": [*PEERS, "sdk", BATCH],
        "cancel-message-batch": [str(PROGRAM), BATCH],
    }
    with serving([*PEERS, "server"]) as url:
        measured = medians(commands, url, times)
    bare, sdk, ours = measured.values()
    print(f"\nCancel one batch, whole process (medians of {times})")
    for name, figures in measured.items():
        print(f"  {name:<34} {figures.seconds:6.3f} s, processor {figures.processor:6.3f} s, {figures.memory:6.1f} MiB")
    time_, memory = ours.seconds / bare.seconds, ours.memory / sdk.memory
    target(f"{time_:.2f} x the bare script's time", "at most 1.15", reached=time_ <= 1.15)
    print(
        f"  {ours.processor / bare.processor:.2f} x its processor time, which other work on this machine changes less"
    )
    faster = sdk.seconds / ours.seconds
    target(f"{faster:.1f} x faster than the SDK", "at least 4", reached=faster >= 4)
    target(f"{memory:.0%} of the SDK's peak memory", "at most 60%", reached=memory <= 0.6)


def cancel_many(number: int, times: int, limit_every: int) -> None:
    """Cancel many batches, each once. The API refuses every Nth request for a second."""
    seconds: dict[str, list[float]] = {"anthropic SDK, one after the other": [], "cancel-message-batch -": []}
    for _ in range(times):
        for name, measured in seconds.items():
            with serving([*PEERS, "sandbox", str(number), str(limit_every)]) as url:
                ids = [batch["id"] for batch in control(url, "batches")]
                ours = name.startswith("cancel")
                program = [str(PROGRAM), "-", "--yes"] if ours else [*PEERS, "sdk-many"]
                measured.append(run(program, url, "\n".join(ids)).seconds)
                seen = control(url, "requests")
                accepted = [
                    e["path"].split("/")[-2] for e in seen if e["path"].endswith("/cancel") and e["status"] == 200
                ]
                if sorted(accepted) != sorted(ids):
                    raise SystemExit(f"{len(accepted)} cancels were accepted for {number} batches")
    sdk, ours_ = (statistics.median(all_) for all_ in seconds.values())
    refused = f"every {limit_every}th request answered 429, retry-after 1" if limit_every else "nothing refused"
    print(f"\nCancel {number:,} batches, {refused} (medians of {times})")
    for name, all_ in seconds.items():
        print(f"  {name:<34} {statistics.median(all_):6.2f} s")
    if limit_every:
        target(f"{sdk / ours_:.1f} x faster; each canceled exactly once", "at least 8", reached=sdk / ours_ >= 8)
    else:
        print(f"  {sdk / ours_:.1f} x faster; each canceled exactly once")


def listing(times: int) -> None:
    """List all batches as JSON: memory must not grow with their number."""
    print(f"\nlist --json --limit 0, peak memory (medians of {times})")
    before = 0.0
    for total in (10_000, 30_000):
        with serving([*PEERS, "sandbox", str(total), "0"]) as url:
            command = {"list": [str(PROGRAM), "list", "--json", "--limit", "0"]}
            memory = medians(command, url, times)["list"].memory
        print(f"  {total:>6,} batches {memory:6.1f} MiB")
        if before:
            growth = memory / before
            target(f"{growth:.2f} x the memory for three times as many", "at most 1.1", reached=growth <= 1.1)
        before = memory


def mcp(times: int) -> None:
    """Start an MCP server and get its tools, from the client's side."""
    client = [*PEERS, "tools-of"]
    commands = {
        "emptiest server of the MCP SDK": [*client, *PEERS, "empty"],
        "cancel-message-batch mcp": [*client, str(PROGRAM), "mcp"],
    }
    measured = medians(commands, "http://127.0.0.1:1", times)
    empty, ours = measured.values()
    print(f"\nMCP: from the start to the answer to tools/list (medians of {times})")
    for name, figures in measured.items():
        print(f"  {name:<34} {figures.seconds:6.3f} s")
    ratio = ours.seconds / empty.seconds
    target(f"{ratio:.2f} x the emptiest server's time", "at most 1.5", reached=ratio <= 1.5)


def results(number: int, times: int) -> None:
    """Save the results of one batch: processor time, which swings less than wall time, and memory."""
    script = [sys.executable, str(Path(__file__).with_name("results.py"))]
    with tempfile.TemporaryDirectory() as directory:
        file = str(Path(directory, "requests.jsonl"))
        subprocess.run([*script, "requests", str(number), file], check=True)

        output = Path(directory, "output")
        ours = [str(PROGRAM), "results", BATCH, "--quiet", "--out", f"{output}/ours"]
        commands = {
            "httpx2 to disk": [*script, "bare", f"{output}/bare"],
            "anthropic SDK, its loop": [*script, "sdk", f"{output}/sdk"],
            "results": ours,
            "results --requests": [*ours, "--requests", file],
        }
        with serving([*script, "serve", str(number)]) as url:
            measured = medians(commands, url, times, output=output)
        with serving([*script, "serve", "1000"]) as url:
            few = medians({"results": ours}, url, times, output=output)["results"]
    bare, sdk, plain, requests = measured.values()
    print(f"\nSave {number:,} results of 1.7 KB (medians of {times}; processor time)")
    for name, figures in measured.items():
        print(f"  {name:<34} {figures.processor:6.2f} s {figures.memory:6.1f} MiB")
    less, ratio = sdk.processor / plain.processor, plain.processor / bare.processor
    target(f"{less:.1f} x less than the SDK", "at least 5", reached=less >= 5)
    target(f"{ratio:.2f} x httpx2 to disk", "at most 1.2", reached=ratio <= 1.2)
    with_requests = requests.processor / bare.processor
    target(f"with a requests file {with_requests:.2f} x httpx2 to disk", "at most 3", reached=with_requests <= 3)
    print(f"  {plain.memory - few.memory:+.1f} MiB from 1,000 to {number:,} results")
    each = (requests.memory - plain.memory) * 2**20 / number
    target(f"{each:.0f} bytes of memory for each custom_id", "at most 120", reached=each <= 120)


def behind_run(number: int, times: int) -> None:
    """Send small requests and take results, plainly and behind `run`."""
    script = [sys.executable, str(Path(__file__).with_name("results.py"))]
    behind = [str(PROGRAM), "run", "--"]
    asked = {"plain": [*script, "ask", "300"], "behind run": [*behind, *script, "ask", "300"]}
    taken = {"plain": [*script, "take"], "behind run": [*behind, *script, "take"]}
    with serving([*script, "serve", str(number)]) as url:
        asking, taking = printed(asked, url, times), printed(taken, url, times)
        much = run(taken["behind run"], url).memory
    with serving([*script, "serve", "1000"]) as url:
        little = run(taken["behind run"], url).memory
    print(f"\nBehind run (medians of {times})")
    delay, share = asking["behind run"] - asking["plain"], taking["plain"] / taking["behind run"]
    target(f"a small request takes {delay:.2f} ms more than {asking['plain']:.2f}", "at most 5", reached=delay <= 5)
    size = f"{number * 1.72 / 1e6:.2f} GB of results"
    target(f"{size} at {share:.0%} of the speed without it", "at least 50%", reached=share >= 0.5)
    growth = much - little
    target(f"{much:.1f} MiB, {growth:+.1f} compared with 1,000 results", "at most +10", reached=growth <= 10)


def printed(commands: dict[str, list[str]], url: str, times: int) -> dict[str, float]:
    """Run each command several times, in turn, and return the median of the numbers that it prints."""
    environment = {**os.environ, "ANTHROPIC_API_KEY": "bench", "ANTHROPIC_BASE_URL": url}
    numbers: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(times):
        for name, command in commands.items():
            numbers[name].append(float(subprocess.check_output(command, env=environment)))
    return {name: statistics.median(all_) for name, all_ in numbers.items()}


def fixture(times: int, number: int) -> None:
    """Measure what the pytest fixture costs a test, and what the plugin costs where it is not used."""
    with tempfile.TemporaryDirectory() as directory:
        for name, argument in (("used", "message_batches"), ("unused", "tmp_path")):
            tests = "".join(f"def test_{each}({argument}): pass\n" for each in range(number))
            Path(directory, f"test_{name}.py").write_text(tests)
        pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", directory]
        unused = str(Path(directory, "test_unused.py"))
        commands = {
            "used": [*pytest, str(Path(directory, "test_used.py"))],
            "unused": [*pytest, unused],
            "without": [*pytest, "-p", "no:cancel-message-batch", unused],
        }
        measured = medians(commands, "http://127.0.0.1:9", times)
    print(f"\nThe pytest fixture (medians of {times}, {number} tests)")
    each = (measured["used"].seconds - measured["unused"].seconds) * 1000 / number
    target(f"{each:.1f} ms a test, start of the server included", "at most 50", reached=each <= 50)
    # Less than what the time of a whole process varies by, so it is the processor's.
    more = (measured["unused"].processor - measured["without"].processor) * 1000
    target(f"pytest takes {more:+.1f} ms of processor time with the plugin unused", "at most +10", reached=more <= 10)


def context(openapi: str | None) -> None:
    """Compare what a model's context holds: the definitions and the result of one cancel."""
    print("\nContext: tools/list and the result of one cancel, characters of JSON")
    if not openapi:
        print("  skipped: give the API's OpenAPI description, as in `make bench OPENAPI=path`")
        return
    generated = json.loads(subprocess.check_output([*PEERS, "generated", openapi]))
    ours = json.loads(subprocess.check_output([*PEERS, "definitions"]))
    for name, figures in (("FastMCP.from_openapi", generated), ("cancel-message-batch mcp", ours)):
        print(f"  {name:<34} {figures['tools']} tools {figures['definitions']:6,} + result {figures['result']:4,}")
    share = sum(ours[part] for part in ("definitions", "result"))
    share /= sum(generated[part] for part in ("definitions", "result"))
    target(f"{share:.1%} of the generated server's", "at most 35%", reached=share <= 0.35)


def main() -> None:
    """Measure everything, or one part."""
    parts: dict[str, Callable[[], None]] = {
        "cancel": lambda: cancel(9),
        "cancel-many": lambda: cancel_many(1_000, 3, 10),
        "cancel-many-unlimited": lambda: cancel_many(1_000, 3, 0),
        "list": lambda: listing(3),
        "mcp": lambda: mcp(9),
        "results": lambda: results(100_000, 3),
        "run": lambda: behind_run(600_000, 3),
        "fixture": lambda: fixture(9, 50),
        "context": lambda: context(os.environ.get("OPENAPI")),
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *parts], metavar="PART", help=f"of {', '.join(parts)}")
    chosen = parser.parse_args().parts or list(parts)
    versions = ", ".join(f"{name} {version(name)}" for name in (PROGRAM.name, "anthropic", "httpx2", "pydantic"))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; {versions}")
    with tempfile.TemporaryDirectory() as directory:
        os.environ["CANCEL_MESSAGE_BATCH_RECORD"] = f"{directory}/record.sqlite3"  # and not the person's own
        for part in chosen:
            parts[part]()


if __name__ == "__main__":
    main()
