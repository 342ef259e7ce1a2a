"""The names of the commands, for the tests that go through all of them."""

from cancel_message_batch.cli.registry import COMMANDS

NAMES = list(COMMANDS)
