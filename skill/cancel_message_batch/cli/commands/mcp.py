"""``cancel-message-batch mcp``: serve the tools over the Model Context Protocol."""

import argparse
import functools

from cancel_message_batch.cli.arguments import parse_port
from cancel_message_batch.cli.exit_codes import ExitCode
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import Command
from cancel_message_batch.cli.serving import run_server


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--http", type=parse_port, metavar="PORT", help="serve http://127.0.0.1:PORT/mcp instead")
    parser.add_argument("--confirm", action="store_true", help="ask the person, through the client, before each cancel")


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    try:
        from cancel_message_batch import mcp_server
    except ModuleNotFoundError as error:
        output.warn(f"The MCP server needs {error.name}: pip install 'cancel-message-batch[mcp]'")
        return ExitCode.USAGE
    if given.http is None:
        mcp_server.serve_stdio(confirm=given.confirm)
        return ExitCode.DONE

    def started(address: str) -> None:
        output.say(f"Serving the tools at {address}. Ctrl-C stops it.")

    serve = functools.partial(mcp_server.serve_http, given.http, started, confirm=given.confirm)
    return run_server(serve, where=f"Port {given.http}", advice="Choose another with --http.", output=output)


COMMAND = Command(
    name="mcp",
    about=(
        "Serve the three tools over the Model Context Protocol, on standard input and output. Credentials\n"
        "come from the environment; without any the server starts, and its tools say what to set."
    ),
    examples=(
        "claude mcp add message-batches -- cancel-message-batch mcp",
        "cancel-message-batch mcp --confirm",
        "cancel-message-batch mcp --http 8808",
    ),
    arguments=_arguments,
    run=_run,
)
