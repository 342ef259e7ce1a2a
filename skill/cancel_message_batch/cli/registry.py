"""The commands: their names and one-line helps. Their modules import what is heavy only when they run."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Literal

from .output import Output

PROGRAM = "cancel-message-batch"
DEFAULT = "cancel"  # the command that runs when none is named

# Each name is also the name of a module in cli/commands.
COMMANDS = {
    "cancel": "cancel batches (the default command)",
    "list": "list batches, newest first",
    "status": "show where batches stand",
    "wait": "wait until batches have stopped",
    "results": "save the results of ended batches, and what is left to send",
    "ask": "send one message to Claude, who has these tools",
    "chat": "talk with Claude, who has these tools",
    "run": "run a command; if it fails, cancel the batches it created",
    "name": "give a batch a name, which only this machine knows",
    "history": "show what was done to batches from this machine",
    "doctor": "check the credential, the base URL and the permissions",
    "completion": "print shell completion for bash, zsh or fish",
    "mcp": "serve these tools over the Model Context Protocol",
    "sandbox": "run a local imitation of the API; no key needed",
}

_NO_DELETE = "no command deletes batches. `cancel` stops a batch; the Anthropic SDK can delete it once it has ended"

# Words that other tools have for what a command of ours does, or that none of ours does.
OTHER_WORDS = {
    word: f"did you mean {ours}?"
    for ours, others in {
        "status": "get show describe retrieve",
        "list": "ls ps",
        "results": "logs download",
        "--version": "version",
    }.items()
    for word in others.split()
} | dict.fromkeys(("rm", "delete", "remove"), _NO_DELETE)

# What a mistake may be answered with: words that stop no batch and change nothing.
SUGGESTED = ("list", "status", "wait", "results", "history", "doctor", "completion", "sandbox", "help")


@dataclass(frozen=True)
class Command:
    """One command. Each module in ``cli/commands`` makes one, named ``COMMAND``."""

    name: str
    about: str
    examples: tuple[str, ...]
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Output], int]  # returns the exit code; raises UsageError
    completes: Literal["running", "any"] | None = None  # the ids that a shell offers
    exits: dict[int, str] | None = field(default_factory=dict)  # its own meanings; None: no codes of ours


def load(name: str) -> Command:
    """Import the module of a command and return the command."""
    command: Command = import_module(f"{__package__}.commands.{name}").COMMAND
    return command
