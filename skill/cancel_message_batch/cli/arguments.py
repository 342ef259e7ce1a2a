"""Arguments that several commands share, the parsers of their values, and the client that they describe."""

import argparse
import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .exit_codes import UsageError

if TYPE_CHECKING:
    from cancel_message_batch.api.client import MessageBatches
    from cancel_message_batch.tools import Tool


FILTERS = ("older_than", "newer_than", "at_least", "mine", "orphaned", "named")  # what add_filters adds


def add_batches(parser: argparse.ArgumentParser, *, every: str) -> None:
    """Add which batches are meant: ids, or --all with filters. ``every`` says what --all means."""
    parser.add_argument("ids", nargs="*", metavar="ID", help="message batch ids; - reads them from standard input")
    parser.add_argument("--all", action="store_true", help=every)
    add_filters(parser, only="with --all: only")


def add_filters(parser: argparse.ArgumentParser, *, only: str = "only") -> None:
    """Add the filters by age, size and name."""
    for flag, created in (("--older-than", "more than TIME ago"), ("--newer-than", "less than TIME ago")):
        text = f"{only} batches created {created} (90s, 30m, 2h, 1d)"
        parser.add_argument(flag, type=parse_duration, metavar="TIME", help=text)
    parser.add_argument("--at-least", type=parse_count, metavar="N", help=f"{only} batches with at least N requests")
    text = f"{only} batches that were created under `run` or `guard`, or named, on this machine"
    parser.add_argument("--mine", action="store_true", default=None, help=text)
    text = f"{only} batches left behind: still running, and their program was killed, or failed without canceling them"
    parser.add_argument("--orphaned", action="store_true", default=None, help=text)
    text = f"{only} batches whose name matches PATTERN ('nightly*'; * and ? are special)"
    parser.add_argument("--named", metavar="PATTERN", help=text)


def add_conversation(parser: argparse.ArgumentParser) -> None:
    """Add what a conversation with a model needs."""
    add_results(parser)
    parser.add_argument("--model", help="the model (default: ANTHROPIC_MODEL, else a current Claude)")
    add_model_url(parser)
    add_connection(parser, json=False)


def add_model_url(parser: argparse.ArgumentParser) -> None:
    """Add where the model is, if it is not where the batches are."""
    text = (
        "a server of the Messages API that has the model, such as Ollama (default: ANTHROPIC_MODEL_URL, else the base "
        "URL); its key, if any, is ANTHROPIC_MODEL_KEY"
    )
    parser.add_argument("--model-url", metavar="URL", help=text)


def add_results(parser: argparse.ArgumentParser) -> None:
    """Add the directory that makes an agent's fourth tool available."""
    parser.add_argument("--results", metavar="DIR", help="let the model save results of ended batches below DIR")


def add_resending(parser: argparse.ArgumentParser, *, only: str = "") -> None:
    """Add what is needed to prepare the requests that are left to send."""
    text = f"{only}the file that the batch was made from (JSON Lines or JSON, also gzip), to prepare what is to be sent"
    parser.add_argument("--requests", metavar="FILE", help=text)
    text = f"{only}which to send again (default: canceled,expired,errored; all for a wrong prompt)"
    parser.add_argument("--retry", type=_types, metavar="TYPES", help=text)


def results_tools(given: argparse.Namespace) -> "list[Tool]":
    """Return the tools that a model gets besides the three."""
    if given.results is None:
        return []
    from cancel_message_batch.results.tool import results_tool

    return [results_tool(given.results)]


def add_connection(parser: argparse.ArgumentParser, *, json: bool = True) -> None:
    """Add how to reach the API and how much to print; without ``json``, no ``--json``."""
    group = parser.add_argument_group("connection and output")
    group.add_argument("--base-url", metavar="URL", help="the API's base URL (default: ANTHROPIC_BASE_URL)")
    group.add_argument("--profile", metavar="NAME", help="use a profile of the Anthropic SDK instead of a key")
    group.add_argument("--workspace-id", metavar="ID", help="the workspace, if the credential reaches several")
    text = "give up on a request, or on waiting, after TIME (90s, 30m, 2h)"
    group.add_argument("--timeout", type=parse_duration, metavar="TIME", help=text)
    text = "how often to retry a request (default: 2)"
    group.add_argument("--max-retries", type=parse_count, default=2, metavar="N", help=text)
    group.add_argument("--quiet", "-q", action="store_true", help="print only errors; `list` prints only ids")
    if json:
        text = "print JSON, one object per line; batches as the API returns them"
        group.add_argument("--json", action="store_true", help=text)


def parse_duration(text: str) -> float:
    """Parse a duration such as 90s, 30m, 2h, 1d or 1h30m into seconds. Only 0 may stand without a unit."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number = text.strip().lower()
    if re.fullmatch(r"\d{1,9}", number) and int(number):
        raise argparse.ArgumentTypeError(f"{number} what? Write {number}s, {number}m, {number}h or {number}d")
    if not re.fullmatch(r"(\d{1,9}[smhd])+|0+", number):
        raise argparse.ArgumentTypeError(f'"{text[:40]}" is not a duration such as 90s, 30m, 2h or 1d')
    parts = re.findall(r"(\d+)([smhd])", number)
    if (seconds := sum(int(count) * units[unit] for count, unit in parts)) > 10**12:
        raise argparse.ArgumentTypeError(f'"{text[:40]}" is too long a duration')
    return float(seconds)


def parse_count(text: str) -> int:
    """Parse a whole number from 0 up."""
    if not re.fullmatch(r"\d{1,9}", text):
        raise argparse.ArgumentTypeError(f'"{text[:40]}" is not a whole number, 0 or more')
    return int(text)


def parse_port(text: str) -> int:
    """Parse a port number. 0 means any free port."""
    if (number := parse_count(text)) > 65535:
        raise argparse.ArgumentTypeError(f"{number} is not a port: the highest is 65535")
    return number


def open_batches(given: argparse.Namespace, *, waiting: bool = False) -> "MessageBatches":
    """Open the client that the flags describe. With ``waiting``, --timeout limits the whole wait, not each request."""
    from cancel_message_batch.api.client import MessageBatches  # --help does not need it
    from cancel_message_batch.api.retries import CALL_TIMEOUT

    timeout = CALL_TIMEOUT if given.timeout is None or waiting else given.timeout
    if not timeout:
        raise UsageError("--timeout 0 leaves no time for a request. With `wait` or --wait it means one look")
    return MessageBatches(
        base_url=given.base_url,
        profile=given.profile,
        workspace_id=given.workspace_id,
        timeout=timeout,
        max_retries=given.max_retries,
    )


@contextlib.contextmanager
def using_port(port: int, advice: str) -> Iterator[None]:
    """Say what to do if the port cannot be used."""
    try:
        yield
    except OSError as error:
        from cancel_message_batch.api.errors import MessageBatchError  # --help does not need it

        raise MessageBatchError(f"port {port} cannot be used: {error.strerror}. {advice}") from None


def check_sdk() -> None:
    """Refuse an SDK without what a conversation needs; modules of the conversation cannot be imported with it."""
    import anthropic  # only ask and chat need it

    from cancel_message_batch.api.credentials import SDK_TOO_OLD
    from cancel_message_batch.api.errors import ConfigurationError

    if tuple(map(int, anthropic.__version__.split(".")[:2])) < (2, 2):  # the first that can do without threads
        raise ConfigurationError(SDK_TOO_OLD.format("ask and chat"))


def _types(text: str) -> list[str]:
    """Parse which requests are to be sent again."""
    known = ("canceled", "expired", "errored", "succeeded", "all")
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise argparse.ArgumentTypeError(f'"{word[:40]}" is not one of {", ".join(known)}')
    return list(dict.fromkeys(words))
