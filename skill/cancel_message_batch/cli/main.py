"""The command line: parse the arguments, run the command, return its exit code."""

import sys
from collections.abc import Sequence

from .exit_codes import ExitCode, Interrupted, UsageError, error_code
from .output import Output
from .parser import build_parser
from .registry import COMMANDS, DEFAULT, PROGRAM, Command, load
from .terminal import make_blocking, open_missing, write


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    open_missing()
    make_blocking()
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    name = words.pop(0) if words and words[0] in COMMANDS else DEFAULT
    try:
        code = _run(load(name), words)
    except UsageError as error:
        Output().warn(f"{PROGRAM}: {error}\nSee `{PROGRAM}{'' if name == DEFAULT else f' {name}'} --help`.")
        code = ExitCode.USAGE
    except Interrupted:
        code = ExitCode.INTERRUPTED
    except KeyboardInterrupt:
        write(sys.stderr, "\nInterrupted.\n")
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader has gone (`| head`)
        code = ExitCode.DONE
    for stream in (sys.stdout, sys.stderr):
        write(stream)
    return code


def _run(command: Command, arguments: Sequence[str]) -> int:
    try:
        given = build_parser(command).parse(arguments)
    except SystemExit as stop:  # --help and --version have printed
        return int(stop.code or 0)
    from cancel_message_batch.api.errors import ConfigurationError, MessageBatchError  # --help needs neither

    output = Output(quiet=getattr(given, "quiet", False), json=getattr(given, "json", False))
    try:
        code = command.run(given, output)
    except ConfigurationError as error:
        output.warn(str(error))
        return ExitCode.USAGE
    except MessageBatchError as error:
        from cancel_message_batch.words import failures

        output.warn(failures.failed(error, "list"))
        return error_code(error)
    if code == ExitCode.DONE and output.incomplete:
        return ExitCode.PARTLY
    return ExitCode.NOTHING_TO_CANCEL if code == ExitCode.DONE and output.nothing else code
