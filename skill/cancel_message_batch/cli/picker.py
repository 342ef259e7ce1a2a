"""The picker: a person chooses batches at the terminal."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from functools import partial

from prompt_toolkit.application import Application, get_app
from prompt_toolkit.filters import Condition, Filter
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import create_output

from cancel_message_batch.api.models import MessageBatch
from cancel_message_batch.words.facts import LookAlikes, day_and_time, facts

from .arguments import parse_duration
from .reports import age, fits, last_columns, size_and_age
from .terminal import colored, cut, discard_typed_ahead, width, wrapped

_INDENT = " " * 5  # what a pointer and a mark take
_KEYS = "  Space: select, a: all, /: filter, Enter: continue, Ctrl-C: none"
_HOW = "part of an id or a name, or an age (2h, >2h, <30m)"


def pick(batches: Sequence[MessageBatch]) -> list[MessageBatch]:
    """Let a person choose batches; nothing is chosen beforehand, and what was typed before does not count."""
    return _Picker(batches).run()


class _Picker:
    """A list to scroll, to filter and to choose from. What a filter hides stays chosen, and is counted."""

    def __init__(self, batches: Sequence[MessageBatch]) -> None:
        self._batches = self._shown = list(batches)
        self._named = any(batch.context.name for batch in batches)
        self._alike = LookAlikes(batch.id for batch in batches)
        self._chosen: set[str] = set()
        self._at = self._top = 0  # in what is shown: where the pointer is, and the first that there is room for
        self._filter, self._typing = "", False

    def run(self) -> list[MessageBatch]:
        """Ask; returns what was chosen, in the order of the list. Ctrl-C is a KeyboardInterrupt."""
        application: Application[bool] = Application(
            Layout(Window(FormattedTextControl(self._text, focusable=True, show_cursor=False))),
            key_bindings=self._keys(),
            output=create_output(stdout=sys.stderr),  # standard output is for results, and may be a file
            erase_when_done=True,  # the question, asked next, shows what was chosen
        )
        done = application.run(pre_run=discard_typed_ahead)
        return [batch for batch in self._batches if done and batch.id in self._chosen]

    def _keys(self) -> KeyBindings:
        keys, typing = KeyBindings(), Condition(lambda: self._typing)

        def on(names: Sequence[str], act: Callable[[], object], when: Filter | bool = True) -> None:
            for name in names:
                keys.add(name, filter=when)(lambda _event: act() and None)

        signal = ["<sigint>"] * hasattr(Keys, "SIGINT")  # older versions of prompt_toolkit leave the signal to Python
        on(["c-c", *signal], lambda: get_app().exit(exception=KeyboardInterrupt))
        on(["c-d"], lambda: get_app().exit(result=False))
        for names, step in ((["up", "c-p"], -1), (["down", "c-n"], 1), (["pageup"], -10), (["pagedown"], 10)):
            on(names, partial(self._move, step))
        on(["enter"], lambda: get_app().exit(result=True), ~typing)
        on(["k"], partial(self._move, -1), ~typing)
        on(["j"], partial(self._move, 1), ~typing)
        on([" "], lambda: self._toggle(self._shown[self._at : self._at + 1]), ~typing)
        on(["a"], lambda: self._toggle(self._shown), ~typing)
        on(["/"], partial(self._type, typing=True), ~typing)
        on(["enter"], partial(self._type, typing=False), typing)
        on(["escape"], self._show_all)
        on(["backspace"], lambda: self._narrow(self._filter[:-1]), typing)

        @keys.add(Keys.BracketedPaste, filter=typing)
        @keys.add(Keys.Any, filter=typing)
        def _(event: KeyPressEvent) -> None:
            self._narrow(self._filter + event.data)

        return keys

    def _move(self, step: int) -> None:
        last = max(len(self._shown) - 1, 0)
        beyond = not 0 <= self._at + step <= last
        wraps = abs(step) == 1 and beyond
        self._at = (last if step < 0 else 0) if wraps else min(max(self._at + step, 0), last)

    def _toggle(self, batches: Sequence[MessageBatch]) -> None:
        ids = {batch.id for batch in batches}
        self._chosen = self._chosen - ids if ids <= self._chosen else self._chosen | ids

    def _type(self, *, typing: bool) -> None:
        self._typing = typing

    def _narrow(self, text: str) -> None:
        self._filter = "".join(character for character in text if character.isprintable())
        self._shown = [batch for batch in self._batches if _matches(batch, self._filter.lower().split())]
        self._at = self._top = 0

    def _show_all(self) -> None:
        self._narrow("")
        self._type(typing=False)

    def _text(self) -> StyleAndTextTuples:
        columns = "" if not fits() else f" (id, requests, age, {'name' if self._named else 'created'})"
        head = wrapped(f"? Cancel which message batches?{columns}", width())
        parts: StyleAndTextTuples = [("bold" if colored(sys.stderr) else "", f"{head}\n"), ("", f"{_wrapped(_KEYS)}\n")]
        below = self._state()
        rows = create_output(stdout=sys.stderr).get_size().rows
        used = sum(part[1].count("\n") for part in parts) + below.count("\n") + 1
        first, end = self._window(rows - used - 3)  # two lines for what is above and below, and one for the cursor
        parts += [("", f"{_INDENT}↑ {first:,} above\n")] if first else []
        for number, batch in enumerate(self._shown[first:end], first):
            parts += self._choice(batch, here=number == self._at)
        left = len(self._shown) - end
        parts += [("", f"{_INDENT}↓ {left:,} below\n")] if left else []
        return [*parts, ("", below)]

    def _state(self) -> str:
        """Say what is filtered and how many are chosen."""
        hidden = len(self._chosen - {batch.id for batch in self._shown})
        chosen = f"{len(self._chosen):,} of {len(self._batches):,} selected{f', {hidden:,} not shown' * bool(hidden)}"
        if not (self._typing or self._filter):
            return f"  {chosen}"
        cursor, how = ("_", f"; {_HOW}") if self._typing else ("", "")
        filtered = f"  /{self._filter}{cursor}  {len(self._shown):,} of {len(self._batches):,} shown{how}"
        return f"{_wrapped(filtered)}\n  {chosen}"

    def _window(self, room: int) -> tuple[int, int]:
        """Return which of the shown batches there is room for, so that the pointer is among them."""
        heights = [1 + self._title(batch).count("\n") for batch in self._shown[: self._at + max(room, 0) + 1]]
        self._top = min(self._top, self._at)
        while self._top < self._at and sum(heights[self._top : self._at + 1]) > room:
            self._top += 1
        end = self._top
        while end < len(heights) and (end <= self._at or sum(heights[self._top : end + 1]) <= room):
            end += 1
        return self._top, end

    def _choice(self, batch: MessageBatch, *, here: bool) -> StyleAndTextTuples:
        chosen = batch.id in self._chosen
        style = " ".join(["bold"] * here + ["fg:ansigreen"] * chosen) if colored(sys.stderr) else ""
        return [(style, f" {'»' if here else ' '} {'●' if chosen else '○'} {self._title(batch)}\n")]

    def _title(self, batch: MessageBatch) -> str:
        known, created = facts(batch), batch.created_at
        lines = [known.id]
        if fits():
            line = f"{known.id:<33} {f'{known.requests:,}':>7} {age(created, batch):>4} "
            name = known.name if self._named else None
            lines = [line + last_columns(day_and_time(created, batch), name, len(line) + len(_INDENT) + 1, sys.stderr)]
        if difference := self._alike.difference(batch.id):
            lines += wrapped(difference, width() - len(_INDENT)).splitlines()
        if not fits():
            lines += [f"  {size_and_age(batch)}", *([f"  {cut(known.name, width() - 8)}"] if known.name else [])]
        return f"\n{_INDENT}".join(lines)


def _wrapped(text: str) -> str:
    return wrapped(text, width(), indent="  ")


def _matches(batch: MessageBatch, words: Sequence[str]) -> bool:
    """Whether each word is part of the id or the name, or fits the age."""
    texts = (batch.id.lower(), (batch.context.name or "").lower())
    return all(any(word in text for text in texts) or _fits_age(batch, word) for word in words)


def _fits_age(batch: MessageBatch, word: str) -> bool:
    if word[:1] not in {"<", ">"}:
        return word == age(batch.created_at, batch)
    with contextlib.suppress(argparse.ArgumentTypeError):
        seconds = (batch.context.as_of - batch.created_at).total_seconds()
        return seconds > parse_duration(word[1:]) if word[0] == ">" else seconds < parse_duration(word[1:])
    return True  # its time is still being typed
