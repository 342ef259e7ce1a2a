"""Servers that the command line runs."""

from collections.abc import Callable

from .exit_codes import ExitCode
from .output import Output


def run_server(serve: Callable[[], None], *, where: str, advice: str, output: Output) -> ExitCode:
    """Serve until stopped. An address that cannot be used is reported with what to do instead.

    Args:
        serve: Serves.
        where: The address, for the report.
        advice: What to do when it cannot be used.
        output: Where to report.
    """
    try:
        serve()
    except OSError as error:
        output.warn(f"{where} cannot be used: {error.strerror}. {advice}")
        return ExitCode.FAILED
    return ExitCode.DONE
