"""Where the credential and the base URL come from."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cancel_message_batch import ConfigurationError, MessageBatches
from cancel_message_batch.api.credentials import connect, origin, sdk_base_url
from cancel_message_batch.api.endpoint import Endpoint
from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from cancel_message_batch.tools import CANCEL


def test_an_api_key_goes_out_as_the_api_documents_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", " test-key\n")
    connection = connect()
    assert connection.headers == {"anthropic-version": "2023-06-01", "x-api-key": "test-key"}
    assert connection.base_url == "https://api.anthropic.com/v1"


def test_a_token_goes_out_with_its_beta_header_and_a_key_goes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "test-token")
    assert connect().headers["authorization"] == "Bearer test-token"
    assert connect().headers["anthropic-beta"] == "oauth-2025-04-20"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
    assert "authorization" not in connect().headers
    assert connect().headers["x-api-key"] == "test-key"


def test_custom_headers_are_sent_and_a_credential_among_them_replaces_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Team: blue\nnonsense\nAnthropic-Beta: x")
    assert connect().headers["x-team"] == "blue"
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "Authorization: Bearer gateway")
    headers = connect().headers
    assert headers["authorization"] == "Bearer gateway"
    assert "x-api-key" not in headers


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("https://api.anthropic.com", "https://api.anthropic.com/v1"),
        ("https://api.anthropic.com/v1/", "https://api.anthropic.com/v1"),
        ("https://gateway.example/anthropic", "https://gateway.example/anthropic/v1"),
        ("http://localhost:8080/rest/x/1.0.0", "http://localhost:8080/rest/x/1.0.0"),
        ("http://localhost:8080/rest/x/1.0.0/v1", "http://localhost:8080/rest/x/1.0.0/v1"),
    ],
)
def test_a_base_url_keeps_its_path_and_gets_a_version_where_it_has_none(given: str, root: str) -> None:
    connection = connect(api_key="test-key", base_url=given)
    assert connection.base_url == root
    assert not sdk_base_url(connection.base_url).endswith("/v1")


@pytest.mark.parametrize(
    "url",
    ["nonsense", "localhost:8080", "ftp://x", "http://", "http://[::1", "http://h:99999", "http://a b/", "http://x?y"],
)
def test_an_invalid_base_url_is_reported_with_where_it_came_from(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
    with pytest.raises(ConfigurationError, match="ANTHROPIC_BASE_URL"):
        connect(api_key="test-key")


def test_a_password_in_a_base_url_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect(api_key="test-key", base_url="http://me:secret-word@host:99999")
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "kéy"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect(api_key=key)
    assert key not in str(caught.value)


def test_without_a_credential_one_sentence_says_what_to_set_and_what_needs_none() -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect()
    assert "set ANTHROPIC_API_KEY" in str(caught.value)
    assert "make demo" in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_base_url_on_this_machine_needs_no_key(host: str) -> None:
    connection = connect(base_url=f"http://{host}:8080")
    assert connection.headers["x-api-key"] == "none"
    assert origin(connection.base_url) == f"http://{host}:8080"
    assert Endpoint(connection).place == f"the API at {host}:8080"


def test_a_key_is_shown_by_its_last_four_characters_at_most() -> None:
    connection = connect(api_key="secret-and-long-enough-9876")
    assert connection.credential == "API key …9876 from the argument given"
    assert "secret" not in repr(connection)
    assert "shor" not in connect(api_key="short").credential


def test_arguments_take_precedence_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "ANTHROPIC_CUSTOM_HEADERS", "anthropic-workspace-id: wrkspc_env\nx-api-key: env-key\nauthorization: Bearer env"
    )
    assert connect().headers["anthropic-workspace-id"] == "wrkspc_env"
    assert {"x-api-key", "authorization"} & connect().headers.keys() == {"authorization"}
    given = connect(api_key="given-key", workspace_id="wrkspc_given").headers
    assert given["anthropic-workspace-id"] == "wrkspc_given"
    assert given["x-api-key"] == "given-key"
    assert "authorization" not in given


@pytest.mark.parametrize("line", ["content-length: 5", "Transfer-Encoding: chunked", "Host: elsewhere"])
def test_a_custom_header_that_would_break_the_request_is_refused(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", line)
    with pytest.raises(ConfigurationError, match="ANTHROPIC_CUSTOM_HEADERS"):
        connect()


def write_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, base_url: str) -> None:
    """Leave a profile of the SDK as the only credential."""
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    (tmp_path / "configs").mkdir()
    (tmp_path / "credentials").mkdir()
    token = {"type": "oauth_token", "access_token": "profile-token", "expires_at": 4102444800}
    (tmp_path / "credentials" / "work.json").write_text(json.dumps(token))
    (tmp_path / "credentials" / "work.json").chmod(0o600)
    profile = {"authentication": {"type": "user_oauth"}, "base_url": base_url, "workspace_id": "wrkspc_default"}
    (tmp_path / "configs" / "work.json").write_text(json.dumps(profile))
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("ANTHROPIC_PROFILE", "work")


def test_a_profile_of_the_sdk_is_used_when_nothing_else_is_set(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_profile(monkeypatch, tmp_path, sandbox.url)
    with MessageBatches() as batches:
        assert batches.list(limit=1).data
    sent = sandbox.journal[-1].headers
    assert sent["authorization"].startswith("Bearer …")
    assert "oauth-2025-04-20" in sent["anthropic-beta"]
    assert "x-api-key" not in sent


def test_the_sdk_is_imported_only_when_no_static_credential_is_set() -> None:
    program = (
        "import sys; from cancel_message_batch.api.credentials import connect; connect(api_key='k');"
        "sys.exit('anthropic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("variable", "value", "advice"),
    [
        ("ANTHROPIC_AUTH_TOKEN", "invalid", "Check the token (ANTHROPIC_AUTH_TOKEN); it may have expired."),
        ("ANTHROPIC_API_KEY", "invalid", "Check the API key (ANTHROPIC_API_KEY)."),
        ("ANTHROPIC_CUSTOM_HEADERS", "X-Api-Key: invalid", "Check the x-api-key header in ANTHROPIC_CUSTOM_HEADERS."),
    ],
)
def test_a_refused_credential_is_the_one_to_be_checked(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, advice: str
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setenv(variable, value)
    outcome = CANCEL.run({"message_batch_id": EXAMPLE_ID})
    assert advice in outcome.text
    assert "ANTHROPIC_API_KEY" not in outcome.text.replace(advice, "")
