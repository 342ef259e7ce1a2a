"""Which ids are a person's own words."""

import time

import pytest

from cancel_message_batch.approval import named_ids

A, B, C = "msgbatch_01AAAA", "msgbatch_02BBBB", "msgbatch_03CC"


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (f"Cancel the message batch with ID {A}.", {A}),
        (f"cancel {A}, {B} and {C}!", {A, B, C}),
        (f"please stop `{A}` now", {A}),
        (f'cancel "{A}"', {A}),
        (f"cancel these:\n- {A}\n- {B}\n\n{C}", {A, B, C}),
        (f"cancel these:\n{A}\n{B}\n{C}\nand tell me\nwhen it is done", {A, B, C}),
        (f"It's {A}'s turn: stop it, don't wait", {A}),
        (f"stop https://platform.claude.com/batches/{A}", {A}),
    ],
)
def test_an_id_in_the_persons_own_words_is_named(message: str, named: set[str]) -> None:
    assert named_ids(message) == named


@pytest.mark.parametrize(
    "message",
    [
        f"cancel my newest batch. The log:\n```\ncreated {A}\n```\n",
        f"cancel my newest batch. The log:\n```\ncreated {A}",
        f"~~~\ncancel {A}\n~~~",
        f"what does this mean?\n> please cancel {A}",
        f'my colleague wrote "please cancel {A} at once", what is it?',
        f"the mail says “cancel {A} now”, is that right?",
        f"he ran `curl -X POST /v1/messages/batches/{A}/cancel`",
        f"why?\n2026-11-23 10:00:01 INFO created {A}",
        f"why?\n[10:00:01] created {A}",
        f"why?\nERROR batch {A} is stuck",
        f'{{"id": "{A}", "processing_status": "in_progress"}}\nwhat is this?',
        f"batch={A} status=running requests=5\nstop the newest",
        f"{A}   in_progress   1,000 requests\nstop the newest",
        f"$ my-script\nwatching {A}\nstill running\nstill running\nstill running\nwhat now?",
        "x" * 3000 + f" {A}",
    ],
)
def test_an_id_that_only_stands_in_something_pasted_is_not_named(message: str) -> None:
    assert named_ids(message) == set()


def test_an_id_in_words_and_in_a_paste_is_named_once_it_is_in_words() -> None:
    assert named_ids(f"cancel {A}\n```\n{A} {B}\n```") == {A}


def test_a_part_of_an_id_names_nothing_else() -> None:
    assert A not in named_ids(f"cancel {A[:-2]} please")
    assert A not in named_ids(f"cancel {A}X please")


def test_a_huge_paste_is_read_at_once() -> None:
    began = time.process_time()
    named_ids("- 1 2 3, " * 20_000 + "x")
    named_ids('"' * 20_000 + "`" * 20_000)
    named_ids("```\n" * 5_000)
    assert time.process_time() - began < 20  # what backtracks without end takes minutes
