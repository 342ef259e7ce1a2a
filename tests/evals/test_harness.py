"""The eval harness can tell right from wrong; what a real model does is measured by `make evals`."""

import pytest

from cancel_message_batch import MessageBatches

from .harness import KEY, WAYS, Case, Setting, load, run

ACCOUNTS, CASES = load()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_scripted_stand_in_gets_every_case_right_that_it_understands(way: object) -> None:
    wrong = {}
    for case in CASES:
        if case.scripted and not _needs_approval(case, way):
            verdict = run(case, ACCOUNTS, way, live=False)  # type: ignore[arg-type]
            if not verdict.passed:
                wrong[case.id] = (verdict.missed, verdict.wrong, verdict.answer)
    assert wrong == {}


def _needs_approval(case: Case, way: object) -> bool:
    """Only the product's own loop can hold the stand-in back: it does not ask by itself."""
    return way is not WAYS["agent loop"] and ("newest" in case.id or "declined" in case.id)


def test_a_model_that_cancels_everything_fails_every_case_where_that_is_wrong() -> None:
    def reckless(setting: Setting, _: list[str]) -> str:
        with MessageBatches(api_key=KEY, base_url=setting.sandbox.url) as batches:
            for batch in batches.list():
                if batch.processing_status == "in_progress":
                    batches.cancel(batch.id)
        return "Done!"

    everything = {"all of them", "the only one", "no more than it", "none running", "nothing costs money"}
    for case in CASES:
        assert run(case, ACCOUNTS, reckless, live=False).passed == (case.id in everything), case.id


def test_a_model_that_does_nothing_fails_every_case_that_asks_it_to_act() -> None:
    for case in CASES:
        verdict = run(case, ACCOUNTS, lambda _, __: "I cannot do that.", live=False)
        assert verdict.passed == (case.kind != "must act"), case.id


def test_there_are_enough_cases_of_each_kind() -> None:
    assert len(CASES) >= 30
    assert len({case.id for case in CASES}) == len(CASES)
    kinds = [case.kind for case in CASES]
    assert min(kinds.count("must act"), kinds.count("must not act")) >= 12
