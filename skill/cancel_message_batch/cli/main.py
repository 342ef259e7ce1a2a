"""The command line: parse, call, print, exit code.

Exit codes: 0 done; 1 the API or the network failed; 2 wrong usage, or no credential; 3 nothing to cancel, it had
already ended; 4 partly done; 5 the time was up while waiting; 130 interrupted.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn

from cancel_message_batch import __version__

from . import streams

PROGRAM = "cancel-message-batch"
DONE, FAILED, USAGE, ENDED, PARTLY, TIME_UP, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

EXIT_CODES = """\
exit codes:
  0 done   1 the API or the network failed   2 wrong usage, or no credential
  3 nothing to cancel, it had already ended   4 partly done
  5 the time was up while waiting   130 interrupted"""

COMMANDS = {
    "cancel": "cancel batches (what the command does without a name)",
    "list": "list batches, newest first",
    "status": "show where batches stand",
    "wait": "wait until batches have really stopped",
    "ask": "say one thing to Claude, who has these tools",
    "chat": "talk with Claude, who has these tools",
    "doctor": "check credential, base URL and permissions",
    "completion": "print shell completion for bash, zsh or fish",
    "mcp": "serve these tools over the Model Context Protocol",
    "sandbox": "run a local imitation of the API, no key needed",
}

EXAMPLES = {
    "cancel": """\
examples:
  cancel-message-batch                           pick one of the running batches
  cancel-message-batch msgbatch_013Zva2CMHLNnXjNJJKqJ2EF
  cancel-message-batch ID ID --wait --timeout 30m
  cancel-message-batch --all --older-than 2h --dry-run
  cancel-message-batch list --status in_progress
  cancel-message-batch ask "cancel my newest batch"
""",
    "list": """\
examples:
  cancel-message-batch list
  cancel-message-batch list --status in_progress --limit 5
  cancel-message-batch list --json --limit 0 | jq -r .id
""",
    "status": """\
examples:
  cancel-message-batch status msgbatch_013Zva2CMHLNnXjNJJKqJ2EF
  cancel-message-batch status ID --json
""",
    "wait": """\
examples:
  cancel-message-batch wait msgbatch_013Zva2CMHLNnXjNJJKqJ2EF
  cancel-message-batch wait ID ID --timeout 1h
""",
    "ask": """\
examples:
  cancel-message-batch ask "Cancel the message batch with ID msgbatch_013Zva2CMHLNnXjNJJKqJ2EF."
  cancel-message-batch ask "what is running?"
""",
    "chat": """\
examples:
  cancel-message-batch chat
  cancel-message-batch chat --model claude-opus-5-5
""",
    "doctor": """\
examples:
  cancel-message-batch doctor
  ANTHROPIC_BASE_URL=http://localhost:8080 cancel-message-batch doctor
""",
    "completion": """\
examples:
  eval "$(cancel-message-batch completion bash)"       in ~/.bashrc
  eval "$(cancel-message-batch completion zsh)"        in ~/.zshrc
  cancel-message-batch completion fish | source        in config.fish
""",
    "mcp": """\
examples:
  claude mcp add message-batches -- cancel-message-batch mcp
  cancel-message-batch mcp --confirm
  cancel-message-batch mcp --http 8808
""",
    "sandbox": """\
examples:
  cancel-message-batch sandbox
  ANTHROPIC_BASE_URL=http://localhost:8080 ANTHROPIC_API_KEY=any cancel-message-batch list
""",
}


class UsageError(Exception):
    """The command was called wrongly."""


class Parser(argparse.ArgumentParser):
    """An argument parser that names the nearest flag when one is unknown."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print and exit for."""
        raise UsageError(message)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse, flags and ids in any order, with a suggestion for what is unknown."""
        given, unknown = self.parse_known_intermixed_args(arguments)
        for word in (*getattr(given, "ids", ()), *unknown):
            if word in COMMANDS:
                raise UsageError(f"put the command first: {PROGRAM} {word} …")
        if not unknown:
            return given
        from difflib import get_close_matches

        flag = unknown[0].partition("=")[0]
        known = [name for action in self._actions for name in action.option_strings]
        nearest = get_close_matches(flag, known, 1, 0.5)
        raise UsageError(f"unknown argument {flag}" + (f"; did you mean {nearest[0]}?" if nearest else ""))


def duration(text: str) -> timedelta:
    """Read a length of time such as 90s, 30m, 2h, 1d or 1h30m; a plain number is seconds."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "": "seconds"}
    if not re.fullmatch(r"(\d{1,9}[smhd])+|\d{1,9}", text.strip().lower()):
        raise argparse.ArgumentTypeError(f'"{text[:40]}" is not a length of time such as 90s, 30m, 2h or 1d')
    parts = re.findall(r"(\d+)([smhd]?)", text.strip().lower())
    try:
        return sum((timedelta(**{units[unit]: int(number)}) for number, unit in parts), timedelta())
    except OverflowError:
        raise argparse.ArgumentTypeError(f'"{text[:40]}" is too long a time') from None


def count(text: str) -> int:
    """Read a number that is not negative."""
    if not re.fullmatch(r"\d{1,9}", text):
        raise argparse.ArgumentTypeError(f'"{text[:40]}" is not a number from 0 up')
    return int(text)


def port(text: str) -> int:
    """Read the number of a port; 0 stands for any free one."""
    if (number := count(text)) > 65535:
        raise argparse.ArgumentTypeError(f"{number} is not a port: they end at 65535")
    return number


def speed(text: str) -> float:
    """Read a number above 0."""
    if not re.fullmatch(r"\d{0,9}(\.\d{1,9})?", text) or not float(text or 0) > 0:
        raise argparse.ArgumentTypeError(f'"{text[:40]}" is not a number above 0')
    return float(text)


def parser(command: str) -> Parser:
    """Build the parser of one command."""
    name = PROGRAM if command == "cancel" else f"{PROGRAM} {command}"
    commands = "\n".join(f"  {known:<11} {what}" for known, what in COMMANDS.items())
    epilog = f"{EXIT_CODES}\n" if command != "cancel" else f"commands:\n{commands}\n\n{EXIT_CODES}\n"
    made = Parser(
        prog=name,
        description=f"{EXAMPLES[command]}\n{_ABOUT[command]}",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    _ARGUMENTS[command](made)
    if command not in {"completion", "mcp", "sandbox"}:
        _api_arguments(made, json=command not in {"ask", "chat"})
    return made


_ABOUT = {
    "cancel": (
        "Cancel Anthropic Message Batches. Cancellation is not immediate: requests already being\n"
        "processed may still complete and are billed; finished results are kept."
    ),
    "list": "List the batches of the workspace, newest first.",
    "status": "Show where batches stand. Counts are final only when a batch has ended.",
    "wait": "Wait until batches have ended. It keeps nothing: stop it and start it again at will.",
    "ask": (
        "Say one thing to Claude, who has the tools to list, look at and cancel batches. A batch that\n"
        "you do not name by its id is canceled only after your yes."
    ),
    "chat": "Talk with Claude, who has the tools to list, look at and cancel batches.",
    "doctor": "Check which credential and base URL are in force, and what they allow.",
    "completion": "Print a shell completion script; it completes the ids of running batches too.",
    "mcp": (
        "Serve the three tools over the Model Context Protocol, on standard input and output. Credentials\n"
        "come from the environment; without any the server starts, and its tools say what to set.\n"
        "With --http, clients need a bearer token: the one in CANCEL_MESSAGE_BATCH_MCP_TOKEN, else a new\n"
        "one, which is printed with the address."
    ),
    "sandbox": "Run a local imitation of the Message Batches API, with a scripted stand-in for Claude.",
}


def _api_arguments(made: Parser, *, json: bool) -> None:
    group = made.add_argument_group("connection and output")
    group.add_argument("--base-url", metavar="URL", help="where the API is (default: ANTHROPIC_BASE_URL)")
    group.add_argument("--profile", metavar="NAME", help="a profile of the Anthropic SDK, instead of a key")
    group.add_argument("--workspace-id", metavar="ID", help="the workspace to act in, for credentials with several")
    group.add_argument(
        "--timeout",
        type=duration,
        metavar="TIME",
        help="give up after this long (90s, 30m, 2h): each request, or the whole wait",
    )
    group.add_argument("--max-retries", type=count, default=2, metavar="N", help="per request (default: 2)")
    group.add_argument("--quiet", "-q", action="store_true", help="no messages but errors")
    if json:
        group.add_argument("--json", action="store_true", help="print the API's own objects, one a line")


def _cancel_arguments(made: Parser) -> None:
    made.add_argument("ids", nargs="*", metavar="ID", help="message batch ids; - reads them from standard input")
    made.add_argument("--all", action="store_true", help="every batch in progress in the workspace")
    made.add_argument(
        "--older-than",
        type=duration,
        metavar="TIME",
        help="with --all: created longer ago than this, such as 90s, 30m, 2h or 1d",
    )
    made.add_argument("--newer-than", type=duration, metavar="TIME", help="with --all: created since this long ago")
    made.add_argument("--at-least", type=count, metavar="N", help="with --all: with at least N requests")
    made.add_argument("--dry-run", action="store_true", help="show what would be canceled, cancel nothing")
    made.add_argument("--yes", "-y", action="store_true", help="do not ask")
    made.add_argument("--wait", action="store_true", help="wait until they have really stopped")


def _list_arguments(made: Parser) -> None:
    made.add_argument("--status", choices=("in_progress", "canceling", "ended"), help="only batches of this status")
    made.add_argument("--limit", type=count, default=20, metavar="N", help="at most N; 0 for all (default: 20)")


def _ids_arguments(made: Parser) -> None:
    made.add_argument("ids", nargs="+", metavar="ID", help="message batch ids; - reads them from standard input")


def _ask_arguments(made: Parser) -> None:
    made.add_argument("message", help="what to say")
    _chat_arguments(made)


def _chat_arguments(made: Parser) -> None:
    made.add_argument("--model", help="the model (default: ANTHROPIC_MODEL, else a current Claude)")


def _completion_arguments(made: Parser) -> None:
    made.add_argument("shell", choices=("bash", "zsh", "fish"))


def _mcp_arguments(made: Parser) -> None:
    made.add_argument("--http", type=port, metavar="PORT", help="serve http://127.0.0.1:PORT/mcp instead")
    made.add_argument("--confirm", action="store_true", help="ask the person, through the client, before each cancel")
    made.add_argument("--timeout", type=duration, metavar="TIME", help="per tool call (default: 50s)")


def _sandbox_arguments(made: Parser) -> None:
    made.add_argument("--port", type=port, default=8080, help="0 for any free one (default: 8080)")
    made.add_argument("--speed", type=speed, default=60.0, help="times faster than the real API (default: 60)")
    made.add_argument(
        "--limit-every", type=count, default=0, metavar="N", help="answer every Nth request 429 (default: none)"
    )


_ARGUMENTS = {
    "cancel": _cancel_arguments,
    "list": _list_arguments,
    "status": _ids_arguments,
    "wait": _ids_arguments,
    "ask": _ask_arguments,
    "chat": _chat_arguments,
    "doctor": lambda _: None,
    "completion": _completion_arguments,
    "mcp": _mcp_arguments,
    "sandbox": _sandbox_arguments,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    streams.open_missing()
    try:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
    except UsageError as error:
        streams.write(sys.stderr, f"{PROGRAM}: {error}\nSee `{PROGRAM} --help`.\n")
        code = USAGE
    except KeyboardInterrupt as interruption:
        if not interruption.args:  # else it has been told what it left
            streams.write(sys.stderr, "\nInterrupted.\n")
        code = INTERRUPTED
    except BrokenPipeError:  # the reader has gone (`| head`)
        code = DONE
    for stream in (sys.stdout, sys.stderr):
        streams.write(stream)
    return code


def _run(arguments: list[str]) -> int:
    command = arguments.pop(0) if arguments and arguments[0] in COMMANDS else "cancel"
    try:
        given = parser(command).parse(arguments)
    except SystemExit as stop:  # --help and --version have printed
        return int(stop.code or 0)
    if command == "completion":
        from .completion import script

        streams.write(sys.stdout, script(given.shell) + "\n")
        return DONE
    from . import dispatch

    return dispatch.run(command, given)
