"""What commands print for machines and for people: JSON, ids only, colors."""

import json

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import Run


def test_colour_only_where_it_is_wanted(sandbox: Sandbox, run: Run) -> None:
    assert "\x1b" not in run("list", NO_COLOR="").stdout
    assert "\x1b" in run("list", NO_COLOR="", FORCE_COLOR="1").stdout
    assert "\x1b" not in run("list", NO_COLOR="1", FORCE_COLOR="1").stdout


def test_json_is_the_apis_own_object_and_nothing_else(sandbox: Sandbox, run: Run) -> None:
    for arguments in ((EXAMPLE_ID,), ("status", EXAMPLE_ID), ("list", "--limit", "1")):
        done = run(*arguments, "--json")
        (line,) = done.stdout.splitlines()
        assert {"id", "type", "results_url", "archived_at", "request_counts"} <= set(json.loads(line))


def test_quiet_prints_ids_for_list_and_only_errors_for_cancel(sandbox: Sandbox, run: Run) -> None:
    assert EXAMPLE_ID in run("list", "--quiet").stdout.splitlines()
    done = run(EXAMPLE_ID, "--quiet")
    assert (done.stdout, done.stderr) == ("", "")
    assert run("msgbatch_unknown", "--quiet").stderr
