"""The argument parser of a command."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from cancel_message_batch import __version__

from .exit_codes import EXIT_CODES_HELP, UsageError
from .registry import COMMANDS, DEFAULT, PROGRAM, Command


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError and suggests the nearest flag when one is unknown."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print before it exits."""
        raise UsageError(message)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse flags and ids in any order.

        Raises:
            UsageError: An argument is wrong, missing or unknown.
        """
        given, unknown = self.parse_known_intermixed_args(arguments)
        for word in (*getattr(given, "ids", ()), *unknown):
            if word in COMMANDS:
                raise UsageError(f"put the command first: {PROGRAM} {word} …")
        if not unknown:
            return given
        from difflib import get_close_matches

        flag = unknown[0].partition("=")[0]
        nearest = get_close_matches(flag, self.flags(), 1, 0.5)
        raise UsageError(f"unknown argument {flag}" + (f"; did you mean {nearest[0]}?" if nearest else ""))

    def flags(self) -> list[str]:
        """Return all flags, short ones included."""
        return [name for action in self._actions for name in action.option_strings]


def build_parser(command: Command) -> Parser:
    """Build the parser of a command, with its whole ``--help``."""
    epilog = f"{EXIT_CODES_HELP}\n"
    if command.name == DEFAULT:
        commands = "\n".join(f"  {name:<11} {one_line}" for name, one_line in COMMANDS.items())
        epilog = f"commands:\n{commands}\n\n{epilog}"
    examples = "\n".join(f"  {example}" for example in command.examples)
    parser = Parser(
        prog=PROGRAM if command.name == DEFAULT else f"{PROGRAM} {command.name}",
        description=f"examples:\n{examples}\n\n{command.about}",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    command.arguments(parser)
    return parser
