"""Servers that the command line runs."""

from collections.abc import Callable

from .exit_codes import ExitCode
from .output import Output


def run_server(serve: Callable[[], None], *, where: str, advice: str, output: Output) -> ExitCode:
    """Serve until stopped. Where the address cannot be used, say so with the advice."""
    try:
        serve()
    except OSError as error:
        output.warn(f"{where} cannot be used: {error.strerror}. {advice}")
        return ExitCode.FAILED
    return ExitCode.DONE
