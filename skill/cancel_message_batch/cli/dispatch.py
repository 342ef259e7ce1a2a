"""What each command does, once its arguments are parsed."""

import argparse
import functools
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta

from cancel_message_batch import summary
from cancel_message_batch.api.client import TIMEOUT, MessageBatches
from cancel_message_batch.api.errors import ConfigurationError, InvalidInputError, MessageBatchError
from cancel_message_batch.api.models import MessageBatch, message_batch_id_fault
from cancel_message_batch.tools import CANCEL, GET, ToolOutcome

from . import terminal
from .main import DONE, ENDED, FAILED, PARTLY, PROGRAM, TIME_UP, USAGE, UsageError
from .terminal import Output

_HINT = 3  # ids that fit into a hint


def run(command: str, given: argparse.Namespace) -> int:
    """Run a command; returns its exit code.

    Raises:
        UsageError: The arguments do not go together, or there is nobody to ask.
    """
    output = Output(quiet=getattr(given, "quiet", False))
    try:
        if command in _SERVERS:
            return _SERVERS[command](given, output)
        if command == "cancel":
            _check_cancel(given)
        if command == "ask" and not given.message.strip():
            raise UsageError('say something, for example: ask "what is running?"')
        waiting = command == "wait" or (command == "cancel" and given.wait)
        timeout = given.timeout.total_seconds() if given.timeout is not None and not waiting else TIMEOUT
        if not timeout:
            raise UsageError("--timeout 0 leaves no time for a request; it goes with waiting, which then looks once")
        with MessageBatches(
            base_url=given.base_url,
            profile=given.profile,
            workspace_id=given.workspace_id,
            timeout=timeout,
            max_retries=given.max_retries,
        ) as batches:
            return _COMMANDS[command](batches, given, output)
    except ConfigurationError as error:
        output.warn(str(error))
        return USAGE
    except MessageBatchError as error:
        output.warn(summary.failed(error, "list"))
        return FAILED


def _check_cancel(given: argparse.Namespace) -> None:
    """Refuse what does not go together before anything is sent."""
    if given.all and given.ids:
        raise UsageError("give ids or --all, not both")
    if not given.all and any(value is not None for value in (given.older_than, given.newer_than, given.at_least)):
        raise UsageError("--older-than, --newer-than and --at-least go with --all")
    if not terminal.interactive():
        if given.all and not (given.yes or given.dry_run):
            raise UsageError("--all without a terminal to ask in needs --yes (or --dry-run to see what it would stop)")
        if not given.all and not given.ids:
            raise UsageError(f"which batch? Give its id; `{PROGRAM} list --status in_progress` shows the running ones")


def _cancel(batches: MessageBatches, given: argparse.Namespace, output: Output) -> int:
    try:
        ids, known = _choose(batches, given, output)
        if given.dry_run and ids:
            return _show(batches, ids, known, given, output)
    except KeyboardInterrupt:
        output.warn("\nInterrupted. Nothing was canceled.")
        raise KeyboardInterrupt("told") from None
    if not ids:
        return DONE
    outcomes = (
        _cancel_one(batches, ids[0], given, output) if len(ids) == 1 else _cancel_many(batches, ids, given, output)
    )
    code = _exit_code([_cancel_code(outcome) for outcome in outcomes])
    running = [name for name, outcome in zip(ids, outcomes, strict=True) if outcome.batch and not outcome.batch.ended]
    if given.wait and running:
        waited = _wait_for(batches, running, given, output)
        return waited if waited != DONE else code
    if running and not given.json and terminal.interactive():
        output.say(f"To wait until stopped:\n  {PROGRAM} {_waiting(running)}")
    return code


def _choose(
    batches: MessageBatches, given: argparse.Namespace, output: Output
) -> tuple[Sequence[str], Sequence[MessageBatch]]:
    """Find out which batches are meant, asking where that is not said; returns their ids and what is known of them."""
    if ids := _read_ids(given.ids):
        return ids, ()
    from cancel_message_batch.batches.many import matching

    known = matching(
        batches,
        older_than=given.older_than,
        newer_than=given.newer_than,
        at_least=given.at_least or 0,
    )
    ids = [batch.id for batch in known]
    if not known:
        narrowed = any(value is not None for value in (given.older_than, given.newer_than, given.at_least))
        output.say(f"No message batch{' like that' if narrowed else ''} is in progress: there is nothing to cancel.")
    elif given.dry_run:
        pass
    elif not given.all:
        ids = [terminal.pick(known)]
    elif not given.yes:
        output.show(terminal.table(known, sys.stderr))
        many = f"these {len(ids)} message batches" if len(ids) > 1 else "this message batch"
        if not terminal.confirm(f"Cancel {many}?"):
            output.warn("Nothing was canceled.")
            ids = []
    return ids, known


def _waiting(ids: Sequence[str]) -> str:
    """The command that waits for these batches."""
    if len(ids) <= _HINT:
        return f"wait {' '.join(ids)}"
    return f"list --status canceling --limit 0 --quiet | {PROGRAM} wait -"


def _cancel_one(
    batches: MessageBatches, message_batch_id: str, given: argparse.Namespace, output: Output
) -> list[ToolOutcome]:
    try:
        outcome = CANCEL.run({"message_batch_id": message_batch_id}, batches)
    except KeyboardInterrupt:
        output.warn(summary.interrupted(0, [message_batch_id], []))
        raise KeyboardInterrupt("told") from None
    _tell(outcome, given, output)
    return [outcome]


def _cancel_many(
    batches: MessageBatches, ids: Sequence[str], given: argparse.Namespace, output: Output
) -> list[ToolOutcome]:
    import anyio

    from cancel_message_batch.batches.many import TIMEOUT as EACH
    from cancel_message_batch.batches.many import Progress, cancel_all

    def done(outcome: ToolOutcome) -> None:
        if outcome.batch is None or outcome.result is None or outcome.batch.ended or given.json:
            _tell(outcome, given, output)
        elif not output.quiet:
            output.tell(summary.brief(outcome.batch, outcome.result))

    progress = Progress(list(ids))
    timeout = given.timeout.total_seconds() if given.timeout is not None and not given.wait else EACH
    work = functools.partial(cancel_all, timeout=timeout, max_retries=given.max_retries)
    try:
        anyio.run(work, batches.connection, progress, done)
    except KeyboardInterrupt:
        lost = [name for name in ids if name in progress.sent and name not in progress.outcomes]
        unsent = [name for name in ids if name not in progress.sent]
        output.warn(summary.interrupted(len(progress.outcomes), lost, unsent))
        raise KeyboardInterrupt("told") from None
    outcomes = [progress.outcomes[name] for name in ids]
    if not given.json:
        output.say(summary.tally([outcome.result for outcome in outcomes]))
    return outcomes


def _show(
    batches: MessageBatches,
    ids: Sequence[str],
    known: Sequence[MessageBatch],
    given: argparse.Namespace,
    output: Output,
) -> int:
    """Show what would be canceled."""
    outcomes = [] if known else [GET.run({"message_batch_id": name}, batches) for name in ids]
    found = list(known) or [outcome.batch for outcome in outcomes if outcome.batch]
    for outcome in outcomes:
        if outcome.is_error:
            output.warn(outcome.text)
    _print_batches(found, given, output)
    output.say("Dry run: nothing was canceled.")
    return _exit_code([_code(outcome) for outcome in outcomes])


def _list(batches: MessageBatches, given: argparse.Namespace, output: Output) -> int:
    from itertools import islice

    from cancel_message_batch.batches.many import listing

    limit = given.limit or None
    page = 1000 if given.status or limit is None else min(limit, 1000)
    found = islice(listing(batches, given.status, page=page), limit)
    if not _print_batches(found, given, output) and not output.closed:
        output.say(summary.listed((), given.status or "any", more=False))
    return DONE


def _print_batches(batches: Iterable[MessageBatch], given: argparse.Namespace, output: Output) -> int:
    """Print batches as they come, and return how many there were."""
    printed = 0

    def counted() -> Iterator[MessageBatch]:
        nonlocal printed
        for batch in batches:
            printed += 1
            yield batch

    if given.json:
        lines: Iterable[str] = (_json(batch) for batch in counted())
    elif output.quiet:
        # Shells and scripts take each line for an id, so nothing else may stand there.
        lines = (batch.id for batch in counted() if not message_batch_id_fault(batch.id))
    else:
        lines = terminal.table(counted(), sys.stdout)
    for line in lines:
        output.print(line)
        if output.closed:
            break
    return printed


def _status(batches: MessageBatches, given: argparse.Namespace, output: Output) -> int:
    outcomes = []
    for message_batch_id in _read_ids(given.ids):
        outcomes.append(GET.run({"message_batch_id": message_batch_id}, batches))
        _tell(outcomes[-1], given, output)
    return _exit_code([_code(outcome) for outcome in outcomes])


def _wait(batches: MessageBatches, given: argparse.Namespace, output: Output) -> int:
    return _wait_for(batches, _read_ids(given.ids), given, output)


def _wait_for(batches: MessageBatches, ids: Sequence[str], given: argparse.Namespace, output: Output) -> int:
    from cancel_message_batch.batches.waiting import Wait

    timeout = given.timeout.total_seconds() if given.timeout is not None else None
    wait = Wait(batches, ids, timeout=timeout, max_retries=given.max_retries)
    why = ""
    try:
        with terminal.watching(wait, quiet=output.quiet) as changed:
            why = "" if wait.run(changed) else "The time is up"
    except KeyboardInterrupt:
        why = "Interrupted"
    for text in dict.fromkeys(wait.failed[name].text for name in ids if name in wait.failed):
        output.warn(text)
    for batch in (wait.latest[name] for name in ids if name in wait.latest):
        if batch.ended:
            _tell(ToolOutcome(summary.status(batch), batch=batch), given, output)
    if why:
        seen = [name for name in wait.open if name in wait.latest]
        unknown = [name for name in wait.open if name not in wait.latest]
        output.warn(summary.not_ended(why, seen, unknown=unknown, trouble=wait.trouble))
    if why == "Interrupted":
        raise KeyboardInterrupt("told")
    if why:
        return TIME_UP
    return _exit_code([_code(wait.failed[name]) if name in wait.failed else DONE for name in ids])


def _ask(batches: MessageBatches, given: argparse.Namespace, output: Output) -> int:
    model = _model(given)
    from .chat import Settings, ask

    return ask(batches, given.message, Settings(model, given.profile, _seconds(given), given.max_retries), output)


def _chat(batches: MessageBatches, given: argparse.Namespace, output: Output) -> int:
    model = _model(given)
    from .chat import Settings, chat

    return chat(batches, Settings(model, given.profile, _seconds(given), given.max_retries), output)


def _seconds(given: argparse.Namespace) -> float | None:
    timeout: timedelta | None = given.timeout
    return timeout.total_seconds() if timeout else None


def _model(given: argparse.Namespace) -> str:
    """Choose the model; an SDK too old for the conversation is told before it is imported for it."""
    import anthropic

    from cancel_message_batch.api.credentials import SDK_TOO_OLD

    if int(anthropic.__version__.partition(".")[0]) < 2:
        raise ConfigurationError(SDK_TOO_OLD.format("ask and chat"))
    from cancel_message_batch.agent.conversation import DEFAULT_MODEL

    return given.model or os.environ.get("ANTHROPIC_MODEL") or DEFAULT_MODEL


def _doctor(batches: MessageBatches, given: argparse.Namespace, output: Output) -> int:
    import json

    from .doctor import examine

    code = DONE
    for well, finding in examine(batches):
        if given.json:
            output.print(json.dumps({"ok": well, "finding": finding}))
        else:
            output.tell(f"{terminal.mark(well=well)} {finding}")
        code = code if well else FAILED
    return code


def _sandbox(given: argparse.Namespace, output: Output) -> int:
    try:
        from cancel_message_batch.sandbox import Account, Sandbox
    except ModuleNotFoundError as error:
        raise UsageError(f"the sandbox needs {error.name}: pip install 'cancel-message-batch[sandbox]'") from None
    sandbox = Sandbox(port=given.port, account=Account.believable(speed=given.speed), limit_every=given.limit_every)
    return _serve(sandbox.serve, f"Port {given.port}", "Choose another with --port, or 0 for any.", output)


def _mcp(given: argparse.Namespace, output: Output) -> int:
    try:
        from cancel_message_batch import mcp_server
    except ModuleNotFoundError as error:
        raise UsageError(f"the MCP server needs {error.name}: pip install 'cancel-message-batch[mcp]'") from None
    timeout = given.timeout.total_seconds() if given.timeout is not None else mcp_server.TIMEOUT
    if not timeout:
        raise UsageError("--timeout 0 leaves no time for a tool call")
    if given.http is None:
        if sys.stdin.isatty():
            output.show([_MCP_IN_A_TERMINAL])
        mcp_server.serve_stdio(confirm=given.confirm, timeout=timeout)
        return DONE
    token = os.environ.get(mcp_server.TOKEN_VARIABLE) or mcp_server.new_token()
    if fault := mcp_server.token_fault(token):
        raise UsageError(fault)
    shown = f"${mcp_server.TOKEN_VARIABLE}" if os.environ.get(mcp_server.TOKEN_VARIABLE) else token

    def started(address: str) -> None:
        output.show(
            [
                f"Serving the tools at {address}. Ctrl-C stops it.",
                f"Clients must send this header: Authorization: Bearer {shown}",
            ]
        )

    serve = functools.partial(
        mcp_server.serve_http, given.http, started, token=token, confirm=given.confirm, timeout=timeout
    )
    return _serve(serve, f"Port {given.http}", "Choose another with --http.", output)


_MCP_IN_A_TERMINAL = (
    "This is a server for MCP clients, which start it themselves and talk to it on standard input and output.\n"
    f"To add it to Claude Code: claude mcp add message-batches -- {PROGRAM} mcp\n"
    "It waits for a client here. Ctrl-C ends it."
)


def _serve(serve: Callable[[], None], where: str, advice: str, output: Output) -> int:
    try:
        serve()
    except OSError as error:
        output.warn(f"{where} cannot be used: {error.strerror}. {advice}")
        return FAILED
    return DONE


_SERVERS = {"mcp": _mcp, "sandbox": _sandbox}


_COMMANDS = {
    "cancel": _cancel,
    "list": _list,
    "status": _status,
    "wait": _wait,
    "ask": _ask,
    "chat": _chat,
    "doctor": _doctor,
}


def _tell(outcome: ToolOutcome, given: argparse.Namespace, output: Output) -> None:
    """Print one outcome: failures as messages, batches as results."""
    if outcome.is_error or outcome.batch is None:
        output.warn(outcome.text)
    elif given.json:
        output.print(_json(outcome.batch))
    elif not output.quiet:
        output.tell(outcome.text)


def _json(batch: MessageBatch) -> str:
    """The API's own object: what it sent, and nothing that it did not."""
    return batch.model_dump_json(exclude_unset=True)


def _read_ids(given: Sequence[str]) -> list[str]:
    """Collect the ids, each once, from the arguments and, for -, from standard input."""
    ids: list[str] = []
    for argument in given:
        if argument == "-":
            piped = re.split(r"[\s,\ufeff]+", _standard_input())  # files of Windows begin with U+FEFF
            ids += [name for name in piped if name]
            if not ids:
                raise UsageError("there is no id on standard input")
        else:
            ids.append(argument.strip())
    return list(dict.fromkeys(ids))


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    except OSError:  # it is open for writing only
        return ""


def _code(outcome: ToolOutcome) -> int:
    if isinstance(outcome.error, InvalidInputError):
        return USAGE
    if outcome.is_error:
        return FAILED
    return DONE


def _cancel_code(outcome: ToolOutcome) -> int:
    return ENDED if outcome.result == "already_ended" else _code(outcome)


def _exit_code(codes: Sequence[int]) -> int:
    """One code for several batches: theirs when they agree, partly done when something was, else the gravest."""
    different = set(codes) or {DONE}
    if len(different) == 1:
        return different.pop()
    return PARTLY if DONE in different else next(code for code in (FAILED, USAGE, ENDED) if code in different)
