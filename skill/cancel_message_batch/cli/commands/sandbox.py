"""``cancel-message-batch sandbox``: run a local imitation of the API."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext, SSLError
from typing import Any, TypeVar

from cancel_message_batch.cli.arguments import parse_count, parse_port, using_port
from cancel_message_batch.cli.exit_codes import ExitCode, UsageError
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command

Read = TypeVar("Read")


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=parse_port, default=8080, help="the port; 0 for any free one (default: 8080)")
    text = "how many times faster than the real API (default: 60)"
    parser.add_argument("--speed", type=float, default=60.0, help=text)
    text = "the batches of a JSON file instead of the example account; docs/sandbox.md describes it"
    parser.add_argument("--account", type=Path, metavar="FILE", help=text)
    text = "use the same ids at each start; they differ otherwise"
    parser.add_argument("--seed", type=int, metavar="N", help=text)
    text = "the only API key to accept (default: any)"
    parser.add_argument("--key", type=_parse_key, metavar="KEY", help=text)
    text = "let go wrong what a JSON file says; docs/sandbox.md lists the faults"
    parser.add_argument("--faults", type=Path, metavar="FILE", help=text)
    text = "a PEM file with a certificate and its private key, for HTTPS"
    parser.add_argument("--certificate", type=Path, metavar="FILE", help=text)
    text = "answer every Nth request with 429 (default: none)"
    parser.add_argument("--limit-every", type=parse_count, default=0, metavar="N", help=text)


def _read(flag: str, file: Path, read: Callable[[bytes], Read]) -> Read:
    try:
        return read(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{flag} {file}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{flag} {file}: {error}") from None


def _parse_key(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("the key is empty; is a variable not set?")
    if text != text.strip():
        raise argparse.ArgumentTypeError("the key begins or ends with white space, which no request can send")
    return text


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    try:
        from cancel_message_batch.sandbox import Account, Sandbox
        from cancel_message_batch.sandbox.faults import read_faults
    except ModuleNotFoundError as error:
        output.warn(f"The sandbox needs {error.name}: pip install 'cancel-message-batch[sandbox]'")
        return ExitCode.USAGE
    try:
        options: dict[str, Any] = {"seed": given.seed, "speed": given.speed}
        account = Account.example(**options)
        if given.account:
            account = _read("--account", given.account, partial(Account.from_json, **options))
        faults = _read("--faults", given.faults, read_faults) if given.faults else []
        if given.certificate:
            SSLContext(PROTOCOL_TLS_SERVER).load_cert_chain(given.certificate, password="")  # or it would ask for one
    except SSLError:
        text = (
            f"--certificate {given.certificate}: it must hold a certificate and its private key, without a passphrase"
        )
        raise UsageError(text) from None
    except OSError as error:
        raise UsageError(f"--certificate {given.certificate}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(str(error)) from None
    sandbox = Sandbox(
        port=given.port, account=account, key=given.key, certificate=given.certificate, limit_every=given.limit_every
    )
    for fault in faults:
        sandbox.fail(fault)
    with using_port(given.port, "Choose another with --port, or 0 for any."):
        sandbox.serve()
    return ExitCode.DONE


COMMAND = Command(
    name="sandbox",
    about="Run a local imitation of the Message Batches API, with a scripted stand-in for Claude.",
    examples=(
        "cancel-message-batch sandbox",
        "ANTHROPIC_API_KEY=any cancel-message-batch list --base-url http://localhost:8080",
    ),
    arguments=_arguments,
    run=_run,
    exits={
        0: "stopped by Ctrl-C or SIGTERM",
        1: "the port cannot be used",
        2: "wrong usage, or a package is missing",
        130: "interrupted before it had started",
    },
)
