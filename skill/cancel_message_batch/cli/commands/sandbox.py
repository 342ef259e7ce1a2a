"""``cancel-message-batch sandbox``: run a local imitation of the API."""

import argparse
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

from cancel_message_batch.cli.arguments import parse_count, parse_port, using_port
from cancel_message_batch.cli.exit_codes import ExitCode, UsageError
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=parse_port, default=8080, help="the port; 0 for any free one (default: 8080)")
    text = "how many times faster than the real API (default: 60)"
    parser.add_argument("--speed", type=float, default=60.0, help=text)
    text = "the batches of a JSON file instead of the example account; docs/sandbox.md describes it"
    parser.add_argument("--account", type=Path, metavar="FILE", help=text)
    text = "use the same ids at each start; they differ otherwise"
    parser.add_argument("--seed", type=int, metavar="N", help=text)
    text = "the only API key to accept (default: any)"
    parser.add_argument("--key", metavar="KEY", help=text)
    text = "let go wrong what a JSON file says; docs/sandbox.md lists the faults"
    parser.add_argument("--faults", type=Path, metavar="FILE", help=text)
    text = "a PEM file with a certificate and its private key, for HTTPS"
    parser.add_argument("--certificate", type=Path, metavar="FILE", help=text)
    text = "answer every Nth request with 429 (default: none)"
    parser.add_argument("--limit-every", type=parse_count, default=0, metavar="N", help=text)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    try:
        from cancel_message_batch.sandbox import Account, Sandbox
        from cancel_message_batch.sandbox.faults import read_faults
    except ModuleNotFoundError as error:
        output.warn(f"The sandbox needs {error.name}: pip install 'cancel-message-batch[sandbox]'")
        return ExitCode.USAGE
    try:
        options: dict[str, Any] = {"seed": given.seed, "speed": given.speed}
        account = Account.from_json(_read(given.account), **options) if given.account else Account.example(**options)
        faults = read_faults(_read(given.faults)) if given.faults else []
        if given.certificate:
            SSLContext(PROTOCOL_TLS_SERVER).load_cert_chain(given.certificate)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(f"--certificate {given.certificate}: {error.strerror or error}") from None
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
    exits={1: "the port cannot be used", 2: "wrong usage, or a package is missing"},
)
