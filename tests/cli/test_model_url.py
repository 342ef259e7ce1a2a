"""`--model-url`: the model at another server than the batches. Each key goes only to its own origin."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Fault, Sandbox
from tests.api.test_credentials import write_profile
from tests.conftest import Run, cancels
from tests.scripted import Block, Model, Raw, answer, serving, sse

BATCHES = "sk-batches-SECRET-1111"  # no keys of anybody's
MODEL = "key-of-the-model-SECRET-2222"
CUSTOM = "custom-SECRET-3333"
CALL: list[Block] = [("cancel_message_batch", {"message_batch_id": EXAMPLE_ID})]
ORDER = f"Cancel {EXAMPLE_ID}."


@pytest.fixture
def model() -> Iterator[Model]:
    with serving() as scripted:
        yield scripted


@pytest.fixture
def keys(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox, and an environment full of what belongs to it alone."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", BATCHES)
    monkeypatch.setenv("ANTHROPIC_MODEL_KEY", MODEL)
    monkeypatch.setenv("ANTHROPIC_MODEL", "qwen3-coder")
    custom = f"X-Gateway: {CUSTOM}\nUser-Agent: {CUSTOM}\nanthropic-workspace-id: wrkspc_default"
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", custom)
    return sandbox


def assert_apart(sandbox: Sandbox, model: Model, written: Path) -> None:
    """The model got its own key and nothing else, the batches theirs, and no file either of them."""
    assert model.headers
    assert {headers["authorization"] for headers in model.headers} == {f"Bearer {MODEL}"}
    for headers in model.headers:
        assert not {"x-api-key", "x-gateway", "anthropic-workspace-id", "anthropic-beta"} & headers.keys()
    to_the_model = json.dumps([model.headers, model.requests])
    assert BATCHES not in to_the_model
    assert CUSTOM not in to_the_model
    to_the_batches = sandbox.journal
    assert to_the_batches
    for exchange in to_the_batches:  # the journal keeps the last four characters of a credential
        assert "/batches" in exchange.path
        assert (exchange.headers["x-api-key"], exchange.headers["x-gateway"]) == ("…1111", CUSTOM)
        assert "2222" not in repr(exchange)
    for file in written.rglob("*"):
        assert not file.is_file() or b"SECRET" not in file.read_bytes()


def test_each_key_goes_only_to_its_own_origin(keys: Sandbox, model: Model, run: Run, tmp_path: Path) -> None:
    model.replies = [CALL, "It is canceling."]
    done = run("ask", "--model-url", model.url, ORDER)
    assert (done.returncode, done.stdout) == (0, "It is canceling.\n")
    assert cancels(keys) == [EXAMPLE_ID]
    assert [request["model"] for request in model.requests] == ["qwen3-coder"] * 2
    assert "SECRET" not in done.stdout + done.stderr
    assert_apart(keys, model, tmp_path)


def test_also_in_a_chat_after_an_error_that_repeats_the_keys(
    keys: Sandbox, model: Model, run: Run, tmp_path: Path
) -> None:
    error = {"type": "error", "error": {"type": "authentication_error", "message": f"{MODEL} or {BATCHES}?"}}
    model.replies = [Raw(json.dumps(error).encode(), 401), CALL, "It is canceling.", Raw(status=500)]
    lines = f"{ORDER}\n{ORDER}\nthanks\n"
    done = run("chat", "--max-retries", "0", stdin=lines, ANTHROPIC_MODEL_URL=f"{model.url}/v1/")
    assert (done.returncode, done.stdout) == (0, "It is canceling.\n")
    assert "did not accept the key, or wants one (401 authentication_error)" in done.stderr
    assert cancels(keys) == [EXAMPLE_ID]
    assert "SECRET" not in done.stdout + done.stderr
    assert_apart(keys, model, tmp_path)


def test_no_key_is_needed_where_both_are_on_this_machine(
    sandbox: Sandbox, model: Model, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    model.replies = [CALL, "It is canceling."]
    done = run("ask", ORDER, "--model-url", f"{model.url}/v1/messages", "--model", "qwen3-coder")
    assert (done.returncode, cancels(sandbox)) == (0, [EXAMPLE_ID]), done.stderr
    assert not {"authorization", "x-api-key"} & model.headers[0].keys()
    sandbox.fail(Fault(status=401))
    assert "Check ANTHROPIC_API_KEY, which is not set." in run("status", EXAMPLE_ID).stderr
    refused = run("list", ANTHROPIC_BASE_URL="https://batches.invalid")
    assert refused.returncode == 2
    assert "set ANTHROPIC_API_KEY" in refused.stderr


def test_a_profile_signs_the_requests_for_the_batches_alone(
    sandbox: Sandbox, model: Model, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_profile(monkeypatch, tmp_path, sandbox.url)
    model.replies = [CALL, "It is canceling."]
    done = run("ask", ORDER, "--model-url", model.url, "--model", "qwen3-coder")
    assert (done.returncode, cancels(sandbox)) == (0, [EXAMPLE_ID]), done.stderr
    assert {exchange.headers["authorization"] for exchange in sandbox.journal} == {"Bearer …oken"}
    assert not {"authorization", "x-api-key", "anthropic-workspace-id"} & set().union(*model.headers)
    assert "profile-token" not in json.dumps([model.headers, model.requests])


def test_a_redirect_of_the_model_gets_neither_the_conversation_nor_a_key(
    keys: Sandbox, model: Model, run: Run, tmp_path: Path
) -> None:
    with serving() as elsewhere:
        model.replies = [Raw(status=307, headers={"location": f"{elsewhere.url}/v1/messages"})]
        done = run("ask", "--model-url", model.url, "what is running?")
    assert done.returncode == 1
    assert f"The model at {model.url[7:]} redirects to {elsewhere.url}/v1/messages" in done.stderr
    assert "use it as the model URL (--model-url)" in done.stderr
    assert "base URL" not in done.stderr  # it would get the key of the batches
    assert elsewhere.headers == []


def test_a_redirect_says_so_too_where_the_model_has_the_address_of_the_batches(model: Model, run: Run) -> None:
    model.replies = [Raw(status=307, headers={"location": "http://127.0.0.1:9/v1/messages"})]
    options = ("--model-url", model.url, "--model", "qwen3-coder")
    done = run("ask", *options, "what is running?", ANTHROPIC_BASE_URL=model.url, ANTHROPIC_API_KEY=BATCHES)
    assert "use it as the model URL (--model-url)" in done.stderr
    assert "base URL" not in done.stderr


def said(message: str, kind: str = "invalid_request_error") -> bytes:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (Raw(said("no key", "authentication_error"), 401), ("did not accept the key", "ANTHROPIC_MODEL_KEY")),
        (Raw(said("model 'x' not found", "not_found_error"), 404), ("does not know this model", "--model")),
        (Raw(said("Invalid model name passed in model=x"), 400), ("does not know this model (400", "--model")),
        (Raw(said("llama3 does not support tools"), 400), ("does not call tools (400", "Choose a model that can")),
        (Raw(said("tools param requires --jinja flag", "server_error"), 500), ("does not call tools", "--jinja")),
        (Raw(said('"auto" tool choice requires --enable-auto-tool-choice'), 400), ("does not call tools", "vLLM")),
        (
            Raw(b'{"error": "llama3 does not support tools"}', 400),
            ("does not call tools (400", "Choose a model that can"),
        ),
        (
            Raw(b'{"error": "Say \\"yes\\" to all"}', 400),
            ("refused the request (400)", '''not advice: "Say 'yes' to all"'''),
        ),
        (Raw(said("out of memory", "api_error"), 500), ("failed (500 api_error)", "Try again")),
        (Raw(said("max_tokens is too large"), 400), ("refused the request (400", "max_tokens is too large")),
        (
            Raw(b"<html>hi</html>", headers={"content-type": "text/html"}),
            ("is not from the Messages API", "--model-url"),
        ),
        (Raw(sse(answer("I will")[:3]), cut=True), ("the connection to", "--model-url")),
    ],
)
def test_an_error_of_the_model_says_so_and_what_to_do(
    keys: Sandbox, model: Model, run: Run, reply: Raw, told: tuple[str, str]
) -> None:
    model.replies = [reply]
    done = run("ask", "--max-retries", "0", "--model-url", model.url, "what is running?")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("The ")
    for part in (f"he model at {model.url[7:]}", *told):
        assert part in line.replace("The connection", "the connection")
    assert "ANTHROPIC_API_KEY" not in line
    assert "ANTHROPIC_BASE_URL" not in line


def test_a_model_that_is_not_there_is_told_from_an_api_that_refuses(keys: Sandbox, model: Model, run: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{unused.getsockname()[1]}"
        gone = run("ask", "--max-retries", "0", "--model-url", f"http://{place}", "hello")
    assert gone.stderr.startswith(f"The model at {place} cannot be reached")
    assert "Check that the server is running" in gone.stderr
    keys.fail(Fault(match="POST */cancel", times=0, status=401))
    model.replies = [CALL, "That did not work."]
    refused = run("ask", "--model-url", model.url, ORDER)
    assert "the API answered 401" in refused.stderr
    assert refused.returncode == 1


def test_a_model_must_be_named_because_a_server_has_no_known_default(sandbox: Sandbox, model: Model, run: Run) -> None:
    done = run("ask", "hello", "--model-url", model.url)
    assert done.returncode == 2
    assert "--model or ANTHROPIC_MODEL" in done.stderr
    assert f"GET {model.url}/v1/models" in done.stderr
    assert model.requests == []


@pytest.mark.parametrize("url", ["localhost:11434", "ftp://x", "http://x/?key=SECRET", "http://bob:SECRET@localhost:1"])
def test_a_model_url_that_cannot_be_one_is_refused_and_repeats_no_secret(keys: Sandbox, run: Run, url: str) -> None:
    done = run("ask", "hello", "--model-url", url)
    assert done.returncode == 2
    assert "from --model-url" in done.stderr
    assert "SECRET" not in done.stderr
    assert "base URL" not in done.stderr
    assert ("query" in done.stderr) == ("?" in url)
    assert keys.journal == []


def test_doctor_shows_where_the_model_is_and_sends_nothing_there(keys: Sandbox, model: Model, run: Run) -> None:
    found = run("doctor", ANTHROPIC_MODEL_URL=model.url).stdout
    where = (
        f"Model of ask and chat: at {model.url}/v1 (from ANTHROPIC_MODEL_URL), with key …2222 from ANTHROPIC_MODEL_KEY"
    )
    assert where in " ".join(found.split())
    assert "SECRET" not in found
    assert "no key (ANTHROPIC_MODEL_KEY)" in " ".join(
        run("doctor", "--model-url", model.url, ANTHROPIC_MODEL_KEY="").stdout.split()
    )
    assert model.headers == []
    assert "Model of ask" not in run("doctor").stdout
