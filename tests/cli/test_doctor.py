"""`doctor`."""

import json
import re

from cancel_message_batch.sandbox import Fault, Sandbox
from tests.conftest import Run, described


def test_doctor_names_what_is_in_force_and_never_the_key(sandbox: Sandbox, run: Run) -> None:
    done = run("doctor", ANTHROPIC_API_KEY="a-long-enough-key-1234")
    assert done.returncode == 0
    assert "API key …1234 from ANTHROPIC_API_KEY" in done.stdout
    assert f"{sandbox.url}/v1 (from ANTHROPIC_BASE_URL)" in done.stdout
    assert "a-long" not in done.stdout + done.stderr
    for operation in ("List", "Retrieve", "Cancel"):
        assert f"{operation}: allowed" in done.stdout
    refused = run("doctor", ANTHROPIC_API_KEY="forbidden")
    assert refused.returncode == 1
    assert "may not list" in refused.stdout


def test_doctor_names_the_workspace_that_was_asked_for_and_the_one_that_answered(sandbox: Sandbox, run: Run) -> None:
    assert "· Workspace: wrkspc_default (in the response)" in run("doctor").stdout
    # Such a key belongs to its own workspace, whatever is asked for.
    done = run("doctor", "--workspace-id", "wrkspc_mine", ANTHROPIC_API_KEY="other-key")
    assert "· Workspace: wrkspc_mine (in the request)" in done.stdout
    assert "· Workspace: wrkspc_other (in the response)" in done.stdout


def test_doctor_shows_no_password_of_the_base_url(sandbox: Sandbox, run: Run) -> None:
    place = sandbox.url.rpartition("/")[2]
    done = run("doctor", ANTHROPIC_BASE_URL=f"http://bob:s3cr@t@{place}")
    assert done.returncode == 0
    assert f"Base URL: http://{place}/v1" in done.stdout
    assert "the user name and password of the base URL" in done.stdout
    assert "s3cr" not in done.stdout + done.stderr


def test_doctor_recognizes_a_web_page_and_a_refusal(sandbox: Sandbox, run: Run) -> None:
    sandbox.fail(Fault(match="msgbatch_doctor", times=2, status=404, body="<html>", content_type="text/html"))
    done = run("doctor")
    assert done.returncode == 1
    for operation in ("Retrieve", "Cancel"):
        assert f"✗ {operation}: the API answered 404" in done.stdout
    sandbox.fail(Fault(match="cancel", status=403))
    refused = run("doctor")
    assert "Retrieve: allowed" in refused.stdout
    assert "Cancel: The credential may not cancel" in refused.stdout


def test_doctor_also_writes_for_machines_and_plain_streams(sandbox: Sandbox, run: Run, run_process: Run) -> None:
    findings = [json.loads(line) for line in run("doctor", "--json").stdout.splitlines()]
    assert all(finding["ok"] for finding in findings)
    assert findings[-1] == {"ok": True, "finding": "Cancel: allowed"}
    assert "ok Cancel: allowed" in run_process("doctor", PYTHONIOENCODING="ascii").stdout
    assert "FAILED List" in run_process("doctor", PYTHONIOENCODING="ascii", ANTHROPIC_API_KEY="forbidden").stdout
    sandbox.fail(Fault(match="GET", body={"data": [described("msgbatch_\x1b]0;x", "\x07")], "has_more": False}))
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", run("doctor").stdout)


def test_doctor_calls_a_credential_found_until_the_api_has_taken_it(sandbox: Sandbox, run: Run) -> None:
    taken = run("doctor").stdout
    assert "· Credential found: API key" in taken
    assert "✓ Credential accepted by the API" in taken
    for fault in (Fault(match="GET", status=401), Fault(match="GET", status=200, body="<html>")):
        sandbox.fail(fault)
        refused = run("doctor", "--max-retries", "0").stdout
        assert "· Credential found: API key" in refused
        assert "✓" not in refused


def test_doctor_takes_only_the_apis_own_404_for_a_yes(sandbox: Sandbox, run: Run) -> None:
    flat = {"type": "not_found_error", "message": "no route"}
    for body in (flat, {"error": flat}, {"type": "error", "error": {"type": "404", "message": "x"}}):
        sandbox.fail(Fault(match="msgbatch_doctor", times=2, status=404, body=body))
        done = run("doctor")
        assert done.returncode == 1
        assert "✗ Retrieve: " in done.stdout
        assert "✗ Cancel: " in done.stdout


def test_doctor_takes_a_404_for_nothing_where_the_listing_is_not_found_either(sandbox: Sandbox, run: Run) -> None:
    done = run("doctor", ANTHROPIC_BASE_URL=f"{sandbox.url}/elsewhere")
    assert done.returncode == 1
    assert "allowed" not in done.stdout
