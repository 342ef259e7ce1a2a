"""What can be typed: flags and ids in any order, exit codes, and errors that say what is wrong."""

import re

import pytest

from cancel_message_batch.api.models import EXAMPLE_ID
from cancel_message_batch.sandbox import Sandbox
from tests.conftest import Run, cancels, running


def test_flags_may_stand_between_ids(sandbox: Sandbox, run: Run) -> None:
    ids = running(sandbox, 3)
    done = run(ids[0], "--json", ids[1], "--timeout", "9s", ids[2])
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 3
    assert sorted(cancels(sandbox)) == sorted(ids)
    assert run("wait", ids[0], "--timeout", "50s", ids[1]).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((EXAMPLE_ID,), 0),
        (("msgbatch_unknown",), 1),
        (("nonsense",), 2),
        (("ENDED",), 3),
        ((EXAMPLE_ID, "x"), 2),
        ((EXAMPLE_ID, "ENDED"), 4),
        (("msgbatch_unknown", "nonsense"), 2),
        (("msgbatch_unknown", "ENDED"), 1),
        (("nonsense", "ENDED"), 2),
        (("status", "msgbatch_unknown", "nonsense"), 2),
        (("status", "msgbatch_unknown", "ENDED"), 4),
        (("wait", "msgbatch_unknown", "nonsense"), 2),
    ],
)
def test_exit_codes_say_how_it_went(sandbox: Sandbox, run: Run, arguments: tuple[str, ...], code: int) -> None:
    ended = sandbox.account.add(requests=5, age=7200, status="ended")
    assert run(*(ended if word == "ENDED" else word for word in arguments)).returncode == code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--older",), "did you mean --older-than?"),
        (("--al",), "unknown argument --al\n"),
        (("-v",), "unknown argument -v\n"),
        (("list", "--limt", "3"), "did you mean --limit?"),
        (("--all", "--yes", "--older-than", "yesterday"), "90s, 30m, 2h or 1d"),
        (("--all", "--yes", "--older-than", "-5m"), "--older-than"),
        (("--all", "--yes", "--at-least", "-1"), "--at-least"),
        (("list", "--limit", "-1"), "--limit"),
        (("list", "--status", "running"), "in_progress"),
        (("-",), "no id on standard input"),
        ((EXAMPLE_ID, "--all", "--yes"), "not both"),
        ((EXAMPLE_ID, "--older-than", "1h"), "`cancel-message-batch list` takes it too"),
        ((EXAMPLE_ID, "--older-than", "0s"), "does not go with ids"),
        ((EXAMPLE_ID, "--at-least", "0"), "does not go with ids"),
        (("--older-than", "2h"), "a filter by itself chooses no batches"),
        ((EXAMPLE_ID, "--timeout", "0"), "no time for a request"),
        (("--json", "list"), "put the command first"),
        (("--json", "list", "--status", "in_progress"), "put the command first: `cancel-message-batch list …`"),
        (("--status", "in_progress", "list"), "put the command first: `cancel-message-batch list …`"),
        ((EXAMPLE_ID, "--json", "--wat", EXAMPLE_ID), "did you mean --wait?"),
        ((EXAMPLE_ID, "--timeout", "999999999d999999999d"), "too long"),
        (("sandbox", "--port", "65536"), "65535"),
        (("mcp", "--http", "70000"), "65535"),
        (("sandbox", "--speed", "0"), "above 0"),
        (("wait",), "ID"),
        (("status",), "ID"),
        (("status", EXAMPLE_ID, "--all"), "not both"),
        (("wait", EXAMPLE_ID, "--older-than", "1h"), "does not go with ids"),
        (("ask", "what", "is", "running"), '`cancel-message-batch ask "what is running"`'),
        (("ask", "what", "costs", "$5", "--model", "m"), "`cancel-message-batch ask 'what costs $5'`"),
        (("name", EXAMPLE_ID, "nightly", "eval"), f'`cancel-message-batch name {EXAMPLE_ID} "nightly eval"`'),
        (("completion", "zsh", "bash"), "unknown argument bash"),
        (("ask", " "), "give a message"),
    ],
)
def test_wrong_usage_says_what_is_wrong_and_sends_nothing(
    sandbox: Sandbox, run: Run, arguments: tuple[str, ...], said: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""
    assert sandbox.journal == []


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("stauts", "did you mean status?"),
        ("lits", "did you mean list?"),
        *((word, "did you mean status?") for word in ("get", "show", "describe")),
        *((word, "did you mean list?") for word in ("ls", "ps")),
        *((word, "`cancel-message-batch list` shows batches and their ids") for word in ("stop", "kill", "cancle")),
        ("hlep", "did you mean help?"),
        *((word, "no command deletes batches") for word in ("rm", "delete")),
        ("logs", "did you mean results?"),
        ("batch_123", "another provider's batch"),
        ("\x1b]0;x", "does not start with msgbatch_"),
    ],
)
def test_a_word_that_is_not_a_command_cancels_none_of_the_batches_after_it(
    sandbox: Sandbox, run: Run, word: str, said: str
) -> None:
    for arguments in ((word, EXAMPLE_ID), (EXAMPLE_ID, word), ("cancel", EXAMPLE_ID, word)):
        done = run(*arguments)
        assert done.returncode == 2
        assert "is not a command or a message batch id; " in done.stderr
        assert said in done.stderr
        assert "\x1b" not in done.stderr
    assert sandbox.journal == []


@pytest.mark.parametrize("command", [(), ("status",), ("wait",)])
@pytest.mark.parametrize("damaged", ["msgbatch_", "msgbatch_a.b", "msgbatch_amsgbatch_b,", "batch_a", "A"])
def test_one_damaged_id_refuses_the_whole_call_before_anything_is_sent(
    sandbox: Sandbox, run: Run, command: tuple[str, ...], damaged: str
) -> None:
    done = run(*command, EXAMPLE_ID, damaged)
    assert done.returncode == 2
    assert f'"{damaged}" is not a' in done.stderr
    assert sandbox.journal == []


@pytest.mark.parametrize(
    ("arguments", "see"),
    [
        (("stauts",), "See `cancel-message-batch --help`."),
        (("list", "--limt", "3"), "See `cancel-message-batch list --help`."),
        (("status", "x"), "See `cancel-message-batch status --help`."),
        (("status", EXAMPLE_ID), ""),  # no credential: nothing that --help would explain
    ],
)
def test_only_wrong_usage_leads_to_the_help_and_to_that_of_the_command_at_hand(
    run: Run, arguments: tuple[str, ...], see: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    if see:
        assert done.stderr.endswith(f"\n{see}\n")
    assert see or "--help" not in done.stderr


def test_without_a_key_one_sentence_says_what_to_set(run: Run) -> None:
    done = run(EXAMPLE_ID)
    assert done.returncode == 2
    assert "set ANTHROPIC_API_KEY" in done.stderr
    assert "make demo" in done.stderr
    assert "Traceback" not in done.stderr


MISTAKES = [
    *([flag, EXAMPLE_ID] for flag in ("-v", "-a", "-x", "--al", "--a", "--ye", "--y", "--yess", "--alls")),
    *(["list", flag] for flag in ("-v", "--ye", "--al")),
    *(["status", flag, EXAMPLE_ID] for flag in ("-y", "--yes", "--al", "--older-than=1h")),
    *(
        [word, EXAMPLE_ID]
        for word in ("cancle", "stop", "kill", "abort", "rnu", "aks", "caht", "all", "yes", "mpc", "")
    ),
    *(["ask", flag, "hi"] for flag in ("--may-cancle", "--yes", "-y", "--all")),
    ["ask", "cancel", EXAMPLE_ID],
    [EXAMPLE_ID, "cancel"],
    ["--json", "cancel", EXAMPLE_ID],
    ["--json", "run", "x"],
    [EXAMPLE_ID, "--older-than", "2h"],
    ["--named", "nightly*"],
    ["--older-than", "2h"],
    ["--orphaned"],
    ["nightly"],
    ["status"],
    ["wait"],
    ["wait", "--named", "x"],
    ["results"],
    ["status", ""],
    [],
]


@pytest.mark.parametrize("typed", MISTAKES, ids=" ".join)
def test_a_mistake_is_never_answered_with_something_that_would_stop_a_batch(
    sandbox: Sandbox, run: Run, typed: list[str]
) -> None:
    run("name", EXAMPLE_ID, "nightly")
    done = run(*typed)
    assert done.returncode == 2
    said = done.stderr.replace("-" * 9, "")
    for word in typed:  # what was typed may be repeated, but not in a command
        said = said.replace(f'"{word}" is not', "").replace(f"argument {word}", "")
    assert not re.search(r"--all\b|--yes\b|-y\b|--may-cancel\b", said)
    for command in re.findall(r"`cancel-message-batch ?([^`]*)`|did you mean ([^?]*)\?", said):
        assert re.match(r"(list|status|wait|results|help|name|run --help|ask --help|-)", "".join(command)), said
    assert sandbox.journal == []


@pytest.mark.parametrize("command", [[], ["cancel"], ["status"], ["wait"], ["results"], ["name"]])
def test_an_empty_id_is_said_to_be_empty(sandbox: Sandbox, run: Run, command: list[str]) -> None:
    for empty in ("", " "):
        done = run(*command, empty, *(["x"] if command == ["name"] else [EXAMPLE_ID]))
        assert done.returncode == 2
        assert "an id is empty; is a variable not set? `cancel-message-batch list` shows the ids" in done.stderr
    assert sandbox.journal == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--all", "--yes", "--older-than", "90"],
        ["--all", "--yes", "--newer-than", "90"],
        ["list", "--older-than", "90"],
        ["wait", EXAMPLE_ID, "--timeout", "90"],
        ["mcp", "--timeout", "90"],
        ["run", "--deadline", "90", "--", "true"],
    ],
)
def test_a_time_needs_its_unit(sandbox: Sandbox, run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "90 what? Write 90s, 90m, 90h or 90d" in done.stderr
    assert sandbox.journal == []


@pytest.mark.parametrize("between", [" ", ", ", "\n"])
def test_several_ids_in_one_argument_are_refused_and_that_is_said(sandbox: Sandbox, run: Run, between: str) -> None:
    done = run(between.join([EXAMPLE_ID, "msgbatch_b"]))
    assert done.returncode == 2
    assert "it holds 2 ids; give each as an argument of its own" in done.stderr
    assert sandbox.journal == []


@pytest.mark.parametrize("quoted", [f'"{EXAMPLE_ID}"', f"'{EXAMPLE_ID}'", f"“{EXAMPLE_ID}”", f"`{EXAMPLE_ID}`"])
def test_an_id_with_quotes_around_it_is_refused_and_that_is_said(sandbox: Sandbox, run: Run, quoted: str) -> None:
    for done in (run(quoted), run("status", quoted), run("-", "--yes", stdin=f"{EXAMPLE_ID}\n{quoted}\n")):
        assert done.returncode == 2
        assert "there are quotes around it. Nothing was sent." in done.stderr
    assert sandbox.journal == []
