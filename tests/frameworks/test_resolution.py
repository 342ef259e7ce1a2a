"""Installed beside an agent framework, the package leaves it at its newest version.

A resolver that finds our versions in the way of a framework's goes back to an old release of it without a word. uv
resolves here and installs nothing; `make test-resolution` brings it.
"""

import functools
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

FRAMEWORKS = (
    "ag2",
    "agno",
    "camel-ai",
    "crewai",
    "dspy",
    "google-adk",
    "google-genai",
    "haystack-ai",
    "instructor",
    "langchain",
    "litellm",
    "llama-index",
    "openai-agents",
    "pydantic-ai",
    "semantic-kernel",
    "smolagents",
    "strands-agents",
)
# They allow no mcp that our server runs on; it runs in an environment of its own.
NEED_AN_OLDER_MCP = ("crewai", "semantic-kernel", "strands-agents")

pytestmark = pytest.mark.skipif(not shutil.which("uv"), reason="uv is not here; `make test-resolution` installs it")


@functools.cache
def resolve(*requirements: str) -> dict[str, str]:
    """The version of each package that would be installed for these requirements."""
    done = subprocess.run(
        ["uv", "pip", "compile", "-", "--quiet", "--no-header", "--no-annotate", "--no-config"],
        input="\n".join(requirements),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.partition(";")[0].strip() for line in done.stdout.splitlines()]
    return dict(line.split("==") for line in lines if "==" in line)


@pytest.fixture(scope="module")
def index() -> None:
    """Skip where no package index is reached."""
    try:
        resolve("packaging")
    except AssertionError as error:
        pytest.skip(f"the package index is not reached: {error}")


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("extras", ["", "[sandbox]", "[mcp]"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_framework_keeps_its_newest_version_beside_the_package(framework: str, extras: str) -> None:
    if extras == "[mcp]" and framework in NEED_AN_OLDER_MCP:
        pytest.skip("it needs an older mcp")
    alone = resolve(framework)[framework]
    beside = resolve(framework, f"cancel-message-batch{extras} @ {ROOT.as_uri()}")
    assert beside[framework] == alone
