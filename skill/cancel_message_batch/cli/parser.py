"""The argument parser of a command, and its ``--help``."""

import argparse
import re
import shlex
from collections.abc import Sequence
from typing import NoReturn

from cancel_message_batch.api import __version__

from .exit_codes import EXITS, UsageError
from .registry import COMMANDS, DEFAULT, PROGRAM, SUGGESTED, Command
from .terminal import copyable, width, wrapped

_CONSENT = frozenset({"--all", "--yes", "--may-cancel"})  # flags that no mistake is answered with
_NARROW = 60  # columns below which a description stands under its flag, not beside it


class _Help(argparse.RawDescriptionHelpFormatter):
    """Keeps every word whole, however narrow the terminal is."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=24 if width() >= _NARROW else 6, width=_columns())

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrapped(" ".join(text.split()), width).splitlines()


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError and suggests the nearest flag when one is unknown."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print before it exits."""
        raise UsageError(message)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse flags and ids in any order; after ``--``, the words of a command to run stay as they are."""
        own, command = list(arguments), []
        runs = any(action.dest == "command" for action in self._actions)
        if runs and "--" in own:
            own, command = own[: own.index("--")], own[own.index("--") + 1 :]
        given, unknown = self.parse_known_intermixed_args(own)
        if runs:
            if given.command:
                raise UsageError(f"put -- before the command: `{self.prog} -- {shlex.join(given.command)} …`")
            given.command = command
        if hasattr(given, "ids") and (names := [word for word in (*given.ids, *unknown) if word in COMMANDS]):
            example = f": `{PROGRAM} {names[0]} …`" if names[0] in SUGGESTED else ""
            raise UsageError(f"put the command first{example}")
        if unknown:
            raise UsageError(self._unquoted(given, unknown) or self._nearest(unknown[0].partition("=")[0]))
        return given

    def _unquoted(self, given: argparse.Namespace, unknown: Sequence[str]) -> str:
        """Explain how to give a sentence, if its words came one by one."""
        names = [action.dest for action in self._actions if not action.option_strings and not action.choices]
        words = [getattr(given, name) for name in names]
        if not words or not isinstance(words[-1], str) or any(word.startswith("-") for word in unknown):
            return ""
        sentence = " ".join([words.pop(), *unknown])
        if "msgbatch_" in sentence:  # it could be an order, which needs no further yes
            return f"put the {names[-1]} in quotes"
        quoted = shlex.quote(sentence) if set(sentence) & set('"$`\\!') else f'"{sentence}"'
        return f"put the {names[-1]} in quotes: `{' '.join([self.prog, *words, quoted])}`"

    def _nearest(self, flag: str) -> str:
        from difflib import get_close_matches

        from cancel_message_batch.api.errors import clean

        # A single letter is near to nothing.
        nearest = get_close_matches(flag, self.flags(), 1, 0.5) if re.match("--..", flag) else ()
        meant = f"; did you mean {nearest[0]}?" if nearest and nearest[0] not in _CONSENT else ""
        return f"unknown argument {clean(flag, limit=60)}{meant}"

    def flags(self) -> list[str]:
        """Return all flags, short ones included, but not those that ``--help`` hides."""
        return [name for action in self.shown() for name in action.option_strings]

    def shown(self) -> list[argparse.Action]:
        """Return the arguments that ``--help`` shows."""
        return [action for action in self._actions if action.help != argparse.SUPPRESS]


def _columns() -> int:
    return min(width(), 100)


def _hanging(first: str, text: str) -> str:
    """Return a line that continues below the text, not below its first word."""
    return wrapped(f"{first}{text}", _columns(), indent=" " * len(first))


def _example(example: str) -> str:
    """Return a command to copy; its comment stands above it if the line would be too long."""
    command, _, comment = example.partition("  # ")
    if not comment or len(example) + 2 <= _columns():
        return copyable(command, _columns()) + example[len(command) :]
    return f"{wrapped(f'  # {comment}', _columns(), indent='  # ')}\n{copyable(command, _columns())}"


def build_parser(command: Command) -> Parser:
    """Build the parser of a command, with its whole ``--help``."""
    description = ["examples:", *map(_example, command.examples), "", wrapped(command.about, _columns())]
    if command.name == DEFAULT:
        description += ["", "commands:", *(_hanging(f"  {name:<11} ", about) for name, about in COMMANDS.items())]
    exits = [] if command.exits is None else sorted((EXITS | command.exits).items())
    epilog = ["exit codes:", *(_hanging(f"  {code:<4}", meaning) for code, meaning in exits), ""] if exits else []
    parser = Parser(
        prog=PROGRAM if command.name == DEFAULT else f"{PROGRAM} {command.name}",
        description="\n".join(description),
        epilog="\n".join(epilog),
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    command.arguments(parser)
    if parser.usage is None:
        shapes = {"*": "[{} ...]", "?": "[{}]"}
        given = [action for action in parser.shown() if not action.option_strings]
        names = [shapes.get(str(action.nargs), "{}").format(action.metavar or action.dest) for action in given]
        parser.usage = wrapped(" ".join([parser.prog, "[options]", *names]), _columns() - 7, indent=" " * 7)
    return parser
