"""Waiting for batches at a terminal: shows how it goes, and reports how it ended."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from cancel_message_batch.api.client import MessageBatches
from cancel_message_batch.batches.waiting import WaitState, wait
from cancel_message_batch.tools import ToolOutcome
from cancel_message_batch.words import failures, states
from cancel_message_batch.words.facts import facts

from .exit_codes import ExitCode, Interrupted
from .outcomes import combined, error_code, print_outcome, suggest_results
from .output import Output
from .table import waiting_table
from .terminal import write


def wait_for(
    batches: MessageBatches, ids: Sequence[str], *, timeout: float | None, output: Output, saves: bool = False
) -> ExitCode:
    """Wait until batches have ended, and report each.

    Args:
        batches: The client.
        ids: The batches.
        timeout: Seconds after which to give up, or None.
        output: Where to report.
        saves: Whether the caller saves the results next; else the person is told how.
    """
    state = WaitState(pending=tuple(ids))
    interrupted = False
    try:
        with _progress(state, quiet=output.quiet) as show:
            for state in wait(batches, ids, timeout=timeout):
                show(state)
    except KeyboardInterrupt:
        interrupted = True
    failed = [failures.failed(state.failed[name], "get", name) for name in ids if name in state.failed]
    for text in dict.fromkeys(failed):
        output.warn(text)
    ended = [state.batches[name] for name in ids if name in state.batches and state.batches[name].ended]
    for batch in ended:
        print_outcome(ToolOutcome(states.status(batch), batch=batch), output)
    if not saves:
        suggest_results(ended, output)
    if state.pending:
        seen = [name for name in state.pending if name in state.batches]
        unknown = [name for name in state.pending if name not in state.batches]
        why = "Interrupted" if interrupted else "The time is up"
        output.warn(states.not_ended(why, seen, unknown=unknown, trouble=str(state.trouble or "")))
    if interrupted:
        raise Interrupted
    if state.pending:
        return ExitCode.TIME_UP
    return combined([error_code(state.failed[name]) if name in state.failed else ExitCode.DONE for name in ids])


@contextlib.contextmanager
def _progress(state: WaitState, *, quiet: bool) -> Iterator[Callable[[WaitState], None]]:
    """Show on standard error how waiting goes: live lines in a terminal, else a line for each change.

    Yields a function to call with the state after each look at the batches.
    """
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _live_lines(state) as show:
            yield show
    else:
        told: dict[str, str] = {}

        def show(state: WaitState) -> None:
            now = {facts(batch).id: facts(batch).status for batch in state.batches.values()}
            now["trying again:"] = str(state.trouble or "")
            for what, status in now.items():
                if status and told.get(what) != status:
                    write(sys.stderr, f"{what} {status}\n")
            told.update(now)

        yield show


@contextlib.contextmanager
def _live_lines(state: WaitState) -> Iterator[Callable[[WaitState], None]]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    began = time.monotonic()

    def picture() -> Group:
        elapsed = int(time.monotonic() - began)
        lines = list(waiting_table(((name, state.batches.get(name)) for name in state.pending), sys.stderr))
        lines.append(f"waiting {elapsed // 60}:{elapsed % 60:02d}; the API reports no progress before the end")
        if state.trouble:
            lines.append(f"trying again: {state.trouble}")
        return Group(*(Text.from_ansi(line, overflow="fold") for line in lines))

    console = Console(stderr=True, highlight=False)
    with Live(picture(), console=console, refresh_per_second=4, transient=True, get_renderable=picture) as live:

        def show(now: WaitState) -> None:
            nonlocal state
            state = now
            live.refresh()

        yield show
