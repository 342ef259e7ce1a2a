"""What users copy works: the examples, the demo, the commands and the Python in README, SKILL.md and docs/."""

import ast
import io
import json
import os
import re
import signal
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox

from .conftest import ROOT, cancels
from .scripted import Raw, serving

PAGES = [ROOT / "README.md", ROOT / "SKILL.md", *sorted((ROOT / "docs").glob("*.md"))]
MODEL_LOOPS = ["messages_api_loop.py", "tool_runner.py"]


def python(*arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        env={**os.environ},
    )


@pytest.mark.parametrize("example", MODEL_LOOPS)
def test_an_example_cancels_the_batch_that_is_named_and_answers_truthfully(sandbox: Sandbox, example: str) -> None:
    done = python(f"examples/{example}", f"Cancel the message batch with ID {EXAMPLE_ID}.")
    assert done.returncode == 0, done.stderr
    assert "not immediate" in done.stdout
    assert cancels(sandbox) == [EXAMPLE_ID]


@pytest.mark.parametrize("example", MODEL_LOOPS)
def test_an_example_continues_after_a_call_that_failed(sandbox: Sandbox, example: str) -> None:
    done = python(f"examples/{example}", "Cancel the message batch with ID msgbatch_unknown.")
    assert done.returncode == 0, done.stderr
    assert "There is no message batch msgbatch_unknown" in done.stdout


@pytest.mark.parametrize("example", MODEL_LOOPS)
def test_an_example_without_its_message_says_how_to_call_it(sandbox: Sandbox, example: str) -> None:
    done = python(f"examples/{example}")
    assert done.returncode == 1
    assert f'python {example} "Cancel message batch msgbatch_…"' in done.stderr
    assert "Traceback" not in done.stderr
    assert sandbox.journal == []


def _lines_of_code(source: str) -> int:
    """Count the lines that hold code: no comment, no blank line, and not the docstring of the file."""
    docstring = ast.parse(source).body[0]
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in layout:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - set(range(docstring.lineno, (docstring.end_lineno or 0) + 1)))


def test_every_example_is_in_the_table_of_frameworks_with_its_number_of_lines() -> None:
    table = (ROOT / "docs/frameworks.md").read_text()
    rows = {name: int(lines) for name, lines in re.findall(r"\(\.\./examples/(\w+\.py)\) \| \S+ \| (\d+) \|", table)}
    others = {"demo.py", "guard.py"}  # which give an agent no tools
    examples = {path.name: path.read_text() for path in (ROOT / "examples").glob("*.py") if path.name not in others}
    assert rows == {name: _lines_of_code(source) for name, source in examples.items()}
    assert all(lines <= 20 for name, lines in rows.items() if name != "messages_api_loop.py")
    assert len(examples["messages_api_loop.py"].splitlines()) <= 60


def test_the_guarded_example_reads_the_results_of_its_batch(sandbox: Sandbox) -> None:
    sandbox.account.speed = 1e9
    done = python("examples/guard.py")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()[1:]) == ["France succeeded", "Japan succeeded", "Kenya succeeded"]
    assert cancels(sandbox) == []


def test_the_guarded_example_leaves_no_batch_running_when_it_is_interrupted(sandbox: Sandbox) -> None:
    command = [sys.executable, "examples/guard.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        created = process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert cancels(sandbox) == [created]
    assert f"Canceling: {created}" in errors


def test_the_demo_runs_to_its_end() -> None:
    done = python("examples/demo.py")
    assert done.returncode == 0, done.stderr
    story = done.stdout
    assert story.index(f"Cancel the message batch with ID {EXAMPLE_ID}.") < story.index("is it stopped yet?")
    assert story.index("? Cancel message batch") < story.rindex("has ended") < story.index("ANTHROPIC_API_KEY")
    assert story.count("/cancel → 200") == 3
    assert "cover 1,000 of 1,000 requests exactly once" in story
    assert done.stderr == ""


def test_the_demo_plays_with_another_servers_model_and_says_which_server_failed(sandbox: Sandbox) -> None:
    with serving() as model:
        model.replies = ["Hm.", "Hm.", "Hm.", Raw(b'{"error": {"message": "x does not support tools"}}', status=400)]
        done = python("examples/demo.py", "--model-url", model.url, "--model", "qwen3-coder")
    assert f"The model is qwen3-coder, at {model.url}/v1." in done.stdout
    assert done.returncode == 1
    assert done.stderr.startswith(f"The model at {model.url[7:]} does not call tools (400)")
    assert sandbox.journal == []
    nameless = python("examples/demo.py", "--model-url", model.url)
    assert nameless.returncode == 2
    assert "with --model or ANTHROPIC_MODEL" in nameless.stderr


def _blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)


def _commands() -> list[str]:
    lines = [line for page in PAGES for block in _blocks(page, "sh") for line in block.splitlines()]
    commands = [line.partition("  #")[0].strip() for line in lines if line.startswith("cancel-message-batch ")]
    # What talks with a person, or serves until it is stopped, has tests of its own.
    return sorted({c for c in commands if " " in c and not re.search(r" (chat|sandbox|mcp)\b|--model-url", c)})


@pytest.mark.parametrize("command", _commands())
def test_a_command_in_the_documents_works(sandbox: Sandbox, tmp_path: Path, command: str) -> None:
    (tmp_path / "ids.txt").write_text(EXAMPLE_ID)
    called = re.sub(r"^cancel-message-batch", f"{sys.executable} -m cancel_message_batch", command)
    if " wait " in command or "results" in command:
        called = called.replace(EXAMPLE_ID, sandbox.account.add(requests=5, age=7200, status="ended"))
    if "--mine" in command or "--named" in command:
        assert python("-m", "cancel_message_batch", "name", EXAMPLE_ID, "nightly eval").returncode == 0
    requests = [{"custom_id": f"request-{number:05d}", "params": {}} for number in range(5)]
    (tmp_path / "nightly.py").write_text("print('nothing to do')")
    (tmp_path / "requests.jsonl").write_text("".join(f"{json.dumps(request)}\n" for request in requests))
    done = subprocess.run(
        ["bash", "-c", called],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={**os.environ},
    )
    # Claude found the batch, or a filter did, and without a terminal nobody can say yes.
    asks = "--all" in command and not re.search("--dry-run|--yes| (status|wait|list) ", command)
    assert done.returncode == (6 if "my newest batch" in command else 2 if asks else 0), done.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page, "python")], ids=lambda page: page.name)
def test_the_python_in_a_page_works(sandbox: Sandbox, page: Path) -> None:
    for block in _blocks(page, "python"):
        done = python("-c", block, typed="\n")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("typed", "questions", "canceled"),
    [
        (f"Cancel {EXAMPLE_ID}.\n\n", 0, [EXAMPLE_ID]),
        ("cancel my newest batch\nno\n\n", 1, []),
        ("cancel my newest batch\ny\n\n", 1, ["the newest"]),
    ],
)
def test_the_first_python_in_the_readme_asks_before_it_cancels_except_for_an_order_with_an_id(
    sandbox: Sandbox, typed: str, questions: int, canceled: list[str]
) -> None:
    newest = sandbox.account.add(requests=7, age=1)
    first = _blocks(ROOT / "README.md", "python")[0]
    assert len(list(filter(str.strip, first.splitlines()))) <= 20
    done = python("-c", first, typed=typed)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("[y/N]") == questions
    assert cancels(sandbox) == [newest if name == "the newest" else name for name in canceled]


def test_the_example_of_a_loop_asks_before_it_cancels_a_batch_that_the_model_chose(sandbox: Sandbox) -> None:
    done = python("examples/messages_api_loop.py", "cancel my newest batch", typed="n\n")
    assert done.returncode == 0, done.stderr
    assert "? It is in_progress, has " in done.stdout
    assert cancels(sandbox) == []


def test_the_documented_curl_answers_with_the_documented_values(sandbox: Sandbox) -> None:
    (curl,) = (line for block in _blocks(ROOT / "README.md", "sh") for line in block.splitlines() if "curl" in line)
    here = curl.replace("http://localhost:8080", sandbox.url)
    done = subprocess.run(["bash", "-c", f"{here} -s"], capture_output=True, text=True, timeout=60, check=True)
    for value in (
        '"processing_status":"canceling"',
        '"processing":50,"succeeded":40,"errored":5,"canceled":5,"expired":0',
        '"created_at":"2024-08-20T18:37:24Z"',
        '"cancel_initiated_at":"2024-08-20T19:00:00Z"',
    ):
        assert value in done.stdout
