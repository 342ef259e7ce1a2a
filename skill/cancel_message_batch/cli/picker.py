"""The picker: a person chooses batches at the terminal."""

import sys
from collections.abc import Sequence

import questionary
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from prompt_toolkit.output import create_output

from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.words.facts import day_and_time, facts

from .reports import age, fits, last_columns, size_and_age
from .terminal import cut, discard_typed_ahead, width

_MARKS = 6  # columns in front of a choice, and one behind it
_KEYS = "\n  Space: select, a: all, Enter: continue, Ctrl-C: none"


def pick(batches: Sequence[MessageBatch]) -> list[MessageBatch]:
    """Let a person choose batches; nothing is chosen beforehand, and what was typed before does not count."""
    by_id = {batch.id: batch for batch in batches}
    named = any(batch.context.name for batch in batches)
    question = questionary.checkbox(
        "Cancel which message batches?" + (f" (id, requests, age, {'name' if named else 'created'})" if fits() else ""),
        choices=[questionary.Choice(_title(batch, named=named), value=batch.id) for batch in batches],
        instruction=_KEYS if fits() else _KEYS.replace(", Ctrl", ",\n  Ctrl"),
        output=create_output(stdout=sys.stderr),  # standard output is for results, and may be a file
        erase_when_done=True,  # the question, asked next, shows what was chosen
    )
    question.application.pre_run_callables.append(discard_typed_ahead)
    leave = KeyBindings()

    @leave.add("c-d", eager=True)
    def _(event: KeyPressEvent) -> None:
        event.app.exit(result=[])

    keys = question.application.key_bindings
    question.application.key_bindings = merge_key_bindings([keys, leave] if keys else [leave])
    return [by_id[name] for name in question.unsafe_ask()]


def _title(batch: MessageBatch, *, named: bool) -> str:
    size, created = f"{facts(batch).requests:,}", batch.created_at
    if fits():
        line = f"{facts(batch).id:<33} {size:>7} {age(created, batch):>4} "
        name = facts(batch).name if named else None
        return line + last_columns(day_and_time(created, batch), name, len(line) + _MARKS, sys.stderr)
    name = f"\n       {cut(facts(batch).name, width() - 7)}" if batch.context.name else ""
    return f"{facts(batch).id}\n       {size_and_age(batch)}{name}"
