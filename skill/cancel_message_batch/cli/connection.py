"""The client of the Message Batches API that the command line's flags describe."""

import argparse

from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.api.credentials import SDK_TOO_OLD
from cancel_message_batch.api.errors import ConfigurationError
from cancel_message_batch.api.requests import CALL_TIMEOUT

from .exit_codes import UsageError


def open_batches(given: argparse.Namespace, *, waiting: bool = False) -> MessageBatches:
    """Open the client. With ``waiting``, --timeout limits the whole wait and not each request."""
    timeout = CALL_TIMEOUT if given.timeout is None or waiting else given.timeout
    if not timeout:
        raise UsageError("--timeout 0 leaves no time for a request; it goes with waiting, which then looks once")
    return MessageBatches(
        base_url=given.base_url,
        profile=given.profile,
        workspace_id=given.workspace_id,
        timeout=timeout,
        max_retries=given.max_retries,
    )


def check_sdk() -> None:
    """Refuse an SDK without what a conversation needs; modules of the conversation cannot be imported with it."""
    import anthropic  # only ask and chat need it

    if tuple(map(int, anthropic.__version__.split(".")[:2])) < (2, 2):  # the first that can do without threads
        raise ConfigurationError(SDK_TOO_OLD.format("ask and chat"))
