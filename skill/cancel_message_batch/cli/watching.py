"""Waiting for batches at a terminal: shows how it goes, and reports how it ended."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from cancel_message_batch import summary
from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.batches.waiting import Wait
from cancel_message_batch.summary import shown_id, shown_status
from cancel_message_batch.tools import ToolOutcome

from . import streams
from .exit_codes import ExitCode, Interrupted
from .outcomes import combined, exit_code, print_outcome
from .output import Output
from .table import waiting_table


def wait_for(
    batches: MessageBatches, ids: Sequence[str], *, timeout: float | None, max_retries: int, output: Output
) -> ExitCode:
    """Wait until batches have ended, and report each.

    Args:
        batches: The client.
        ids: Which batches.
        timeout: Seconds after which to give up, or None.
        max_retries: How often a request is sent again within one look.
        output: Where to report.

    Raises:
        Interrupted: The user stopped the waiting.
    """
    wait = Wait(batches, ids, timeout=timeout, max_retries=max_retries)
    why = ""
    try:
        with _progress(wait, quiet=output.quiet) as changed:
            why = "" if wait.run(changed) else "The time is up"
    except KeyboardInterrupt:
        why = "Interrupted"
    for text in dict.fromkeys(wait.failed[name].text for name in ids if name in wait.failed):
        output.warn(text)
    for batch in (wait.latest[name] for name in ids if name in wait.latest):
        if batch.ended:
            print_outcome(ToolOutcome(summary.status(batch), batch=batch), output)
    if why:
        seen = [name for name in wait.open if name in wait.latest]
        unknown = [name for name in wait.open if name not in wait.latest]
        output.warn(summary.not_ended(why, seen, unknown=unknown, trouble=wait.trouble))
    if why == "Interrupted":
        raise Interrupted
    if why:
        return ExitCode.TIME_UP
    return combined([exit_code(wait.failed[name]) if name in wait.failed else ExitCode.DONE for name in ids])


@contextlib.contextmanager
def _progress(wait: Wait, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """Show on standard error how waiting goes: live lines in a terminal, else a line for each change.

    Yields a function to call after each look at the batches.
    """
    if quiet:
        yield lambda: None
    elif sys.stderr.isatty():
        with _live_lines(wait) as changed:
            yield changed
    else:
        told: dict[str, str] = {}

        def changed() -> None:
            states = {shown_id(batch): shown_status(batch) for batch in wait.latest.values()}
            states["trying again:"] = wait.trouble
            for what, state in states.items():
                if state and told.get(what) != state:
                    streams.write(sys.stderr, f"{what} {state}\n")
            told.update(states)

        yield changed


@contextlib.contextmanager
def _live_lines(wait: Wait) -> Iterator[Callable[[], None]]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    began = time.monotonic()

    def picture() -> Group:
        elapsed = int(time.monotonic() - began)
        lines = list(waiting_table(((name, wait.latest.get(name)) for name in wait.open), sys.stderr))
        lines.append(f"waiting {elapsed // 60}:{elapsed % 60:02d}; the API tells no progress before the end")
        if wait.trouble:
            lines.append(f"trying again: {wait.trouble}")
        return Group(*(Text.from_ansi(line, overflow="fold") for line in lines))

    console = Console(stderr=True, highlight=False)
    with Live(picture(), console=console, refresh_per_second=4, transient=True, get_renderable=picture) as live:
        yield live.refresh
