"""The fixture `message_batches`: what a test of somebody else's program can rely on."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from tests.conftest import ROOT

from cancel_message_batch import MessageBatches
from cancel_message_batch.sandbox import Sandbox

PROGRAM = """
import anthropic
batch = anthropic.Anthropic().messages.batches.create(
    requests=[{"custom_id": "q", "params": {"model": "claude-sonnet-5-5", "max_tokens": 5,
               "messages": [{"role": "user", "content": "Hi"}]}}]
)
print(batch.id)
"""
# What a user's first test file may look like.
TEN_LINES = """
import anthropic

PARAMS = {"model": "claude-sonnet-5-5", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}

def test_cancel(message_batches):
    batches = anthropic.Anthropic().messages.batches
    batch = batches.create(requests=[{"custom_id": "q", "params": PARAMS}])
    assert batches.cancel(batch.id).processing_status == "canceling"
    message_batches.advance(hours=1)
    assert batches.retrieve(batch.id).processing_status == "ended"
"""
_urls: list[str] = []


def pytest_of(
    folder: Path, python: Path | str, *options: str, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run the tests of a folder outside the repository."""
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)]
    environ = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("number", range(2))
def test_each_test_has_an_account_of_its_own_at_the_same_url(number: int, message_batches: Sandbox) -> None:
    assert message_batches.account.batches() == []
    assert message_batches.journal == []
    _urls.append(message_batches.url)
    assert len(set(_urls)) == 1
    message_batches.account.add(10)
    message_batches.fault(match="GET", times=0, status=500)
    with anthropic.Anthropic(max_retries=0) as client, pytest.raises(anthropic.InternalServerError):
        client.messages.batches.list()
    assert len(message_batches.journal) == 1


def test_a_connection_that_was_kept_is_closed_between_two_tests_and_not_under_a_request() -> None:
    with Sandbox() as sandbox, httpx2.Client(base_url=sandbox.url) as kept:
        for _ in range(200):
            assert kept.get("/").status_code == 200
            sandbox.reset()


def test_the_sdk_and_our_client_use_the_sandbox_without_further_arguments(message_batches: Sandbox) -> None:
    batch_id = message_batches.account.add(10)
    with MessageBatches() as ours:
        assert ours.cancel(batch_id).processing_status == "canceling"
    with anthropic.Anthropic() as client:
        assert client.messages.batches.retrieve(batch_id).processing_status == "canceling"
    message_batches.advance(hours=1)
    with anthropic.Anthropic() as client:
        assert client.messages.batches.retrieve(batch_id).processing_status == "ended"


def test_finish_ends_a_batch_at_once_and_the_clock_stays(message_batches: Sandbox) -> None:
    running, canceling = message_batches.account.add(10), message_batches.account.add(10)
    with anthropic.Anthropic() as client:
        batches = client.messages.batches
        batches.cancel(canceling)
        created = batches.retrieve(running).created_at
        message_batches.finish(running)
        message_batches.finish(canceling)
        ended = batches.retrieve(running)
        assert ended.ended_at
        assert (ended.ended_at - created).total_seconds() < 300
        assert (ended.request_counts.succeeded, ended.processing_status) == (10, "ended")
        assert [line.result.type for line in batches.results(running)] == ["succeeded"] * 10
        assert batches.retrieve(canceling).request_counts.canceled > 0
        created_just_now = batches.create(requests=[{"custom_id": "q", "params": PARAMS}])
        message_batches.finish(created_just_now.id)
        assert batches.retrieve(created_just_now.id).request_counts.succeeded == 1
    with pytest.raises(ValueError, match="no message batch"):
        message_batches.finish("msgbatch_unknown")


PARAMS: Any = {"model": "claude-sonnet-5-5", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_async_tests_use_it_too(message_batches: Sandbox) -> None:
    async with anthropic.AsyncAnthropic() as client:
        assert (await client.messages.batches.list()).data == []


def test_a_program_that_a_test_starts_uses_it_too(message_batches: Sandbox) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=True)
    (batch,) = message_batches.account.batches()
    assert done.stdout.split() == [batch.id]


def test_whatever_the_environment_says_leads_to_the_sandbox_and_is_put_back(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(f"""
import os
import anthropic

def test_inside(message_batches):
    assert anthropic.Anthropic().messages.batches.list().data == []
    assert message_batches.journal[0].headers["x-api-key" if "x-api-key" in message_batches.journal[0].headers
                                              else "authorization"].endswith("-key")
    assert "x-mine" not in message_batches.journal[0].headers
    assert os.environ["CANCEL_MESSAGE_BATCH_RECORD"] != {str(tmp_path / "mine")!r}

def test_outside():
    assert os.environ["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:9"
    assert os.environ["ANTHROPIC_AUTH_TOKEN"] == "mine"
    assert os.environ["CANCEL_MESSAGE_BATCH_RECORD"] == {str(tmp_path / "mine")!r}
    assert "NO_PROXY" not in os.environ
""")
    mine = {
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
        "ANTHROPIC_AUTH_TOKEN": "mine",
        "ANTHROPIC_PROFILE": "mine",
        "ANTHROPIC_CUSTOM_HEADERS": "x-mine: yes",
        "CANCEL_MESSAGE_BATCH_RECORD": str(tmp_path / "mine"),
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    done = pytest_of(tmp_path, sys.executable, **mine)
    assert "2 passed" in done.stdout, done.stdout


WITHOUT_THE_EXTRA = """
import sys

class Missing:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "starlette":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing)
"""


def test_without_the_extra_the_fixture_says_what_to_install_and_pytest_starts(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(WITHOUT_THE_EXTRA)
    (tmp_path / "test_it.py").write_text("def test_with(message_batches): pass\ndef test_without(): pass\n")
    done = pytest_of(tmp_path, sys.executable)
    assert "1 passed, 1 error" in done.stdout
    assert "pip install 'cancel-message-batch[sandbox]'" in done.stdout


def test_an_unused_plugin_loads_nothing_of_ours_or_the_sdk() -> None:
    script = "import sys, cancel_message_batch.pytest_plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.split())
    assert {name for name in loaded if name.startswith("cancel_message_batch.")} == {
        "cancel_message_batch.pytest_plugin"
    }
    assert not loaded & {"anthropic", "httpx2", "pydantic", "starlette", "uvicorn"}


def test_the_tests_to_copy_pass(tmp_path: Path) -> None:
    for name in ("nightly.py", "test_nightly.py"):
        (tmp_path / name).write_text((ROOT / "examples" / "testing" / name).read_text())
    done = pytest_of(tmp_path, sys.executable)
    assert " passed" in done.stdout, done.stdout
    assert done.returncode == 0, done.stdout


def test_a_project_elsewhere_installs_the_wheel_and_its_test_passes(tmp_path: Path) -> None:
    pytest.importorskip("ensurepip", reason="some systems' Python comes without pip")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=True)
    (wheel,) = (tmp_path / "dist").iterdir()
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], timeout=120, check=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    (site,) = (tmp_path / "venv").rglob("site-packages")
    # Everything else comes from where these tests run: so no package index is needed.
    elsewhere = [path for path in sys.path if path.endswith("site-packages")]
    (site / "elsewhere.pth").write_text("\n".join(elsewhere) + "\n")
    install: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--no-index",
        f"cancel-message-batch[sandbox] @ {wheel.as_uri()}",
    ]
    subprocess.run(install, capture_output=True, timeout=120, check=True)
    project = tmp_path / "project"
    project.mkdir()
    (project / "test_cancel.py").write_text(TEN_LINES)
    where = "import cancel_message_batch.pytest_plugin as plugin; print(plugin.__file__)"
    done = subprocess.run([python, "-c", where], cwd=project, capture_output=True, text=True, timeout=60, check=True)
    assert Path(done.stdout.strip()).is_relative_to(site)
    for options in ((), ("-p", "xdist", "-n", "2")):
        done = pytest_of(project, python, *options)
        assert "1 passed" in done.stdout, done.stdout + done.stderr


FROZEN = """
import datetime
import anthropic, freezegun

@freezegun.freeze_time("2026-01-01")
def test_frozen():
    assert datetime.date.today().year == 2026
"""


@pytest.mark.parametrize("imported", ["", "import cancel_message_batch"])
def test_a_test_that_freezes_time_passes_beside_the_package(imported: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FROZEN + imported)
    done = pytest_of(tmp_path, sys.executable)
    assert "1 passed" in done.stdout, done.stdout


WATCHING = """
import os
import pytest

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    before = dict(os.environ)
    result = yield
    for name in before.keys() | os.environ.keys():
        if before.get(name) != os.environ.get(name) and not name.startswith("PYTEST_"):
            print("LEAKED", item.name, name, before.get(name), os.environ.get(name))
    return result
"""
PATCHING = """
import os
from unittest import mock
import anthropic, pytest

@pytest.fixture(autouse=True)
def patched_before(monkeypatch, tmp_path):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "before")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "before")
    monkeypatch.delenv("ANTHROPIC_PROFILE")
    monkeypatch.setenv("DATABASE", "test")
    yield
    assert os.environ["DATABASE"] == "test"
    assert "ANTHROPIC_PROFILE" not in os.environ

@pytest.fixture
def mocked():
    with mock.patch.dict(os.environ):
        yield

@pytest.fixture
def nested(monkeypatch, message_batches):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "nested")
    yield
    assert os.environ["ANTHROPIC_API_KEY"] in ("nested", "theirs")

def patch(monkeypatch, message_batches):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "theirs")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", message_batches.url + "/")
    for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_PROFILE"):
        monkeypatch.setenv(name, "")
    assert anthropic.Anthropic().messages.batches.list().data == []

def test_first(monkeypatch, message_batches):
    patch(monkeypatch, message_batches)

def test_second(message_batches, monkeypatch):
    assert os.environ["ANTHROPIC_API_KEY"] == "sandbox-key"
    patch(monkeypatch, message_batches)

def test_nested(nested, message_batches, monkeypatch):
    assert os.environ["ANTHROPIC_API_KEY"] == "nested"
    patch(monkeypatch, message_batches)

def test_deleted(monkeypatch, message_batches):
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    del os.environ["ANTHROPIC_API_KEY"]
    os.environ["ANTHROPIC_AUTH_TOKEN"] = "theirs"

def test_changed(message_batches):
    os.environ["ANTHROPIC_BASE_URL"] = "http://theirs"

@pytest.mark.parametrize("before", [True, False])
def test_all_at_once(request, before):
    mock_dict = mock.patch.dict(os.environ)
    if before:
        with mock_dict:
            request.getfixturevalue("message_batches")
    else:
        request.getfixturevalue("message_batches")
        with mock_dict:
            os.environ["ANTHROPIC_API_KEY"] = "theirs"

def test_mocked(mocked, message_batches):
    os.environ["ANTHROPIC_API_KEY"] = "theirs"

@pytest.fixture
def later():
    patches = []
    yield patches
    for each in patches:
        each.stop()

def test_mocked_later(later, message_batches):
    later.append(mock.patch.dict(os.environ, {"ANTHROPIC_API_KEY": "theirs"}))
    later[0].start()
    assert anthropic.Anthropic().messages.batches.list().data == []

def test_without():
    assert (os.environ["ANTHROPIC_API_KEY"], os.environ["ANTHROPIC_BASE_URL"]) == ("before", "http://outside")
"""
PATCHED_MODULE = """
import os
import pytest

@pytest.fixture(scope="module", autouse=True)
def module():
    assert os.environ["ANTHROPIC_API_KEY"] == "real"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTHROPIC_API_KEY", "module")
        patch.setenv("ANTHROPIC_AUTH_TOKEN", "module")
        patch.delenv("ANTHROPIC_PROFILE")
        yield patch
    assert os.environ["ANTHROPIC_API_KEY"] == "real"
    assert os.environ["ANTHROPIC_PROFILE"] == "real"
    assert "ANTHROPIC_AUTH_TOKEN" not in os.environ

def unchanged():
    assert os.environ["ANTHROPIC_API_KEY"] == os.environ["ANTHROPIC_AUTH_TOKEN"] == "module"
    assert "ANTHROPIC_PROFILE" not in os.environ

def test_first(monkeypatch, message_batches):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "theirs")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "theirs")

def test_between():
    unchanged()

def test_undone(monkeypatch, message_batches):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "theirs")
    monkeypatch.undo()
    assert os.environ["ANTHROPIC_API_KEY"] == "sandbox-key"

def test_between_again():
    unchanged()

def test_last(monkeypatch, message_batches):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "theirs")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "theirs")
"""
REAL = {"ANTHROPIC_API_KEY": "real", "ANTHROPIC_BASE_URL": "http://outside", "ANTHROPIC_PROFILE": "real"}


def test_what_a_test_patches_itself_is_there_until_its_fixtures_are_torn_down_and_then_gone(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(WATCHING)
    (tmp_path / "test_patching.py").write_text(PATCHING)
    done = pytest_of(tmp_path, sys.executable, "-s", **REAL)
    assert "LEAKED" not in done.stdout, done.stdout
    assert done.returncode == 0, done.stdout


def test_what_a_module_patches_stays_until_its_end(tmp_path: Path) -> None:
    (tmp_path / "test_module.py").write_text(PATCHED_MODULE)
    done = pytest_of(tmp_path, sys.executable, **REAL)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("before", "inside"), [("*", "*"), ("a.example", "a.example,127.0.0.1"), ("", "127.0.0.1")])
def test_all_hosts_that_need_no_proxy_still_need_none(before: str, inside: str, tmp_path: Path) -> None:
    text = f"import os\ndef test_it(message_batches): assert os.environ['no_proxy'] == {inside!r}"
    (tmp_path / "test_it.py").write_text(text)
    done = pytest_of(tmp_path, sys.executable, no_proxy=before, NO_PROXY=before)
    assert done.returncode == 0, done.stdout
