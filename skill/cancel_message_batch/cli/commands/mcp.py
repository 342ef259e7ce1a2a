"""``cancel-message-batch mcp``: serve the tools over the Model Context Protocol."""

import argparse
import os
import sys

from cancel_message_batch.cli.arguments import add_results, parse_duration, parse_port, results_tools, using_port
from cancel_message_batch.cli.exit_codes import ExitCode, UsageError
from cancel_message_batch.cli.output import Output
from cancel_message_batch.cli.registry import PROGRAM, Command

_IN_A_TERMINAL = (
    "This is a server for MCP clients, which start it themselves and talk to it on standard input and output.",
    f"To add it to Claude Code: `claude mcp add message-batches -- {PROGRAM} mcp`",
    "It is waiting for a client. Press Ctrl-C to stop it.",
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--http", type=parse_port, metavar="PORT", help="serve http://127.0.0.1:PORT/mcp instead")
    parser.add_argument("--confirm", action="store_true", help="ask the person, through the client, before each cancel")
    add_results(parser)
    parser.add_argument("--timeout", type=parse_duration, metavar="TIME", help="per tool call (default: 50s)")


def _run(given: argparse.Namespace, output: Output) -> ExitCode:
    try:
        from cancel_message_batch import mcp_server
    except ModuleNotFoundError as error:
        output.warn(f"The MCP server needs {error.name}: pip install 'cancel-message-batch[mcp]'")
        return ExitCode.USAGE
    timeout = mcp_server.TIMEOUT if given.timeout is None else given.timeout
    if not timeout:
        raise UsageError("--timeout 0 leaves no time for a tool call")

    server = mcp_server.build_server(more=results_tools(given), confirm=given.confirm, timeout=timeout)
    if given.http is None:
        if sys.stdin.isatty():
            output.warn("\n".join(_IN_A_TERMINAL))
        mcp_server.serve_stdio(server)
        return ExitCode.DONE
    given_token = os.environ.get(mcp_server.TOKEN_VARIABLE)
    token = given_token or mcp_server.new_token()
    if fault := mcp_server.token_fault(token):
        raise UsageError(fault)
    shown = f"${mcp_server.TOKEN_VARIABLE}" if given_token else token

    def started(address: str) -> None:
        header = f"Clients must send this header: Authorization: Bearer {shown}"
        output.show([f"Serving the tools at {address}. Ctrl-C stops it.", header])

    with using_port(given.http, "Choose another with --http."):
        mcp_server.serve_loopback(server, given.http, started, token=token)
    return ExitCode.DONE


COMMAND = Command(
    name="mcp",
    about=(
        "Serve the three tools over the Model Context Protocol, on standard input and output. Credentials come from "
        "the environment; without any, the server starts and its tools say what to set. With --http, clients need a "
        "bearer token: the one in CANCEL_MESSAGE_BATCH_MCP_TOKEN, otherwise a new one, which is printed with the "
        "address."
    ),
    examples=(
        "claude mcp add message-batches -- cancel-message-batch mcp",
        "cancel-message-batch mcp --confirm",
        "cancel-message-batch mcp --http 8808",
    ),
    arguments=_arguments,
    run=_run,
    exits={1: "the port cannot be used", 2: "wrong usage, or a package is missing"},
)
