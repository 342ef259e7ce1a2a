"""The state of a simulated batch as time passes."""

import math
from collections import Counter
from typing import Any

import pytest

from cancel_message_batch.sandbox import Account
from cancel_message_batch.sandbox.errors import APIError
from cancel_message_batch.sandbox.simulated_batch import DAY, DOCUMENTED_ID, HOUR, MINUTE, SimulatedBatch

from .conftest import Clock

PARAMS = {"model": "claude-sonnet-5-5", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}


def requests(number: int, **params: Any) -> list[dict[str, Any]]:
    return [{"custom_id": f"q-{index}", "params": {**PARAMS, **params}} for index in range(number)]


def outcomes(batch: SimulatedBatch, account: Account) -> Counter[str]:
    return Counter(line["result"]["type"] for line in batch.results(account.now()))


def test_a_batch_counts_everything_as_processing_until_the_whole_of_it_has_ended(clock: Clock) -> None:
    account = Account(clock=clock)
    batch = account.create(requests(1000))
    end = batch.work_end
    for share in (0.0, 0.3, 0.9, 0.999):
        clock.now = batch.created + share * (end - batch.created)
        assert batch.status(clock.now) == "in_progress"
        assert batch.counts(clock.now) == {
            "processing": 1000,
            "succeeded": 0,
            "errored": 0,
            "canceled": 0,
            "expired": 0,
        }
    clock.now = end
    assert batch.status(clock.now) == "ended"
    assert batch.counts(clock.now)["succeeded"] == 1000


def test_a_canceled_batch_keeps_what_was_done_finishes_what_was_in_flight_and_cancels_the_rest(clock: Clock) -> None:
    account = Account(clock=clock)
    batch = account.create(requests(1000))
    clock.now += 0.5 * (batch.work_end - batch.created)
    done = batch.completed(clock.now)
    assert done == 500
    account.cancel(batch.id)
    assert batch.status(clock.now) == "canceling"
    assert batch.counts(clock.now)["processing"] == 1000
    canceled_at = clock.now
    assert 3 <= batch.cancel_end - canceled_at <= 6  # seconds, at speed 60
    clock.now = batch.cancel_end
    assert batch.status(clock.now) == "ended"
    counts = batch.counts(clock.now)
    assert 500 < counts["succeeded"] <= 520
    assert counts["canceled"] == 1000 - counts["succeeded"]
    assert outcomes(batch, account) == Counter({key: value for key, value in counts.items() if value})


def test_a_canceling_batch_can_be_canceled_again_and_stays_as_it_is(clock: Clock) -> None:
    account = Account(clock=clock)
    batch = account.create(requests(100))
    account.cancel(batch.id)
    first = batch.describe(clock.now, "")
    clock.now += 1
    account.cancel(batch.id)
    assert batch.describe(clock.now, "") == first


def test_an_ended_batch_cannot_be_canceled(clock: Clock) -> None:
    account = Account(clock=clock)
    batch_id = account.add(10, status="ended")
    with pytest.raises(APIError, match="has ended"):
        account.cancel(batch_id)


@pytest.mark.parametrize("number", range(3, 30))
def test_a_small_batch_canceled_in_the_middle_has_succeeded_and_canceled_requests(number: int, clock: Clock) -> None:
    account = Account(clock=clock)
    batch = account.create(requests(number))
    clock.now += 0.5 * (batch.work_end - batch.created)
    account.cancel(batch.id)
    clock.now += MINUTE
    counts = batch.counts(clock.now)
    assert counts["succeeded"] > 0
    assert counts["canceled"] > 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("number", "share", "canceled"),
    [(1, 0.0, 1), (1, 0.4, 1), (1, 0.6, 0), (2, 0.0, 2), (2, 0.2, 2), (2, 0.5, 1), (2, 0.9, 0)],
)
def test_of_one_or_two_requests_all_are_canceled_at_first_and_none_at_last(
    number: int, share: float, canceled: int, seed: int, *, clock: Clock
) -> None:
    account = Account(seed=seed, clock=clock)
    batch = account.create(requests(number))
    clock.now += share * (batch.work_end - batch.created)
    account.cancel(batch.id)
    clock.now += MINUTE
    counts = batch.counts(clock.now)
    assert (counts["canceled"], counts["succeeded"]) == (canceled, number - canceled)
    assert outcomes(batch, account) == Counter({key: value for key, value in counts.items() if value})


@pytest.mark.parametrize("number", [1, 2])
def test_a_batch_of_one_or_two_that_is_added_as_canceled_has_canceled_requests(number: int) -> None:
    account = Account()
    assert account.get(account.add(number, status="canceled")).counts(account.now())["canceled"] == 1


def test_canceling_a_small_batch_late_may_cancel_nothing(clock: Clock) -> None:
    account = Account(clock=clock)
    batch = account.create(requests(3))
    clock.now += 0.9 * (batch.work_end - batch.created)
    account.cancel(batch.id)
    clock.now += MINUTE
    assert batch.counts(clock.now)["canceled"] == 0  # the last one was in flight


def test_a_few_requests_that_were_in_flight_may_fail(clock: Clock) -> None:
    account = Account(clock=clock)
    batch = account.get(account.add(10_000, 10 * MINUTE, error_every=20))
    done = batch.completed(clock.now)
    account.cancel(batch.id)
    clock.now = batch.cancel_end
    counts = batch.counts(clock.now)
    assert counts["errored"] > done // 20
    assert sum(counts.values()) == 10_000


@pytest.mark.parametrize("speed", [0, -1, math.nan, math.inf, "fast"])
def test_a_speed_that_is_none_is_refused_whenever_it_is_set(speed: Any) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Account(speed=speed)
    with pytest.raises(ValueError, match="above 0"):
        Account().speed = speed


def test_speed_makes_processing_quicker_and_nothing_else(clock: Clock) -> None:
    slow, quick = (Account(speed=speed, clock=clock).create(requests(100)) for speed in (1.0, 60.0))
    assert slow.work_end - slow.created == pytest.approx(60 * (quick.work_end - quick.created))
    assert slow.describe(clock.now, "")["expires_at"] == quick.describe(clock.now, "")["expires_at"]


def test_requests_that_are_not_done_within_a_day_expire(clock: Clock) -> None:
    account = Account(speed=1, clock=clock)
    batch = account.get(account.add(1000, 23 * HOUR, remaining=10 * HOUR))
    account.advance(HOUR)
    ended = batch.describe(account.now(), "https://results")
    counts = ended["request_counts"]
    assert ended["processing_status"] == "ended"
    assert ended["ended_at"] == ended["expires_at"]
    assert ended["cancel_initiated_at"] is None
    assert counts["expired"] > 0
    assert counts["succeeded"] > 0
    assert counts["processing"] == counts["canceled"] == 0
    assert outcomes(batch, account)["expired"] == counts["expired"]


def test_results_can_be_fetched_for_29_days_after_creation(clock: Clock) -> None:
    account = Account(clock=clock)
    batch = account.get(account.add(10, 28 * DAY, "ended"))
    shown = batch.describe(account.now(), "https://results")
    assert (shown["results_url"], shown["archived_at"]) == ("https://results", None)
    account.advance(DAY)
    shown = batch.describe(account.now(), "https://results")
    assert shown["results_url"] is None
    assert shown["archived_at"] is not None
    assert shown["processing_status"] == "ended"


@pytest.mark.parametrize("status", ["in_progress", "canceling", "ended", "canceled", "expired", "archived"])
def test_a_batch_can_be_added_in_any_state(status: Any, clock: Clock) -> None:
    account = Account(clock=clock)
    batch = account.get(account.add(1000, status=status, error_every=10))
    shown = batch.describe(clock.now, "https://results")
    running = status in {"in_progress", "canceling"}
    assert shown["processing_status"] == (status if running else "ended")
    assert sum(shown["request_counts"].values()) == 1000
    assert (shown["ended_at"] is None) == running
    assert (shown["cancel_initiated_at"] is not None) == (status in {"canceling", "canceled"})
    assert (shown["archived_at"] is not None) == (status == "archived")
    assert (shown["results_url"] is None) == (running or status == "archived")
    assert (shown["request_counts"]["canceled"] > 0) == (status == "canceled")
    assert (shown["request_counts"]["expired"] > 0) == (status == "expired")
    assert not running or shown["request_counts"]["processing"] == 1000


def test_an_added_canceling_batch_ends_in_time(clock: Clock) -> None:
    account = Account(clock=clock)
    batch = account.get(account.add(1000, status="canceling", remaining=HOUR))
    account.advance(61)  # an hour of the real service's time, at speed 60
    assert batch.status(account.now()) == "ended"
    assert batch.counts(account.now())["canceled"] > 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"requests": 0}, "^requests: "),
        ({"requests": 200_001}, "^requests: "),
        ({"requests": 2.5}, "^requests: "),
        ({"age": math.nan}, "^age: "),
        ({"age": 1e13, "status": "ended"}, "^age: "),
        ({"age": DAY}, "younger than a day"),
        ({"age": DAY, "status": "canceling"}, "younger than a day"),
        ({"status": "paused"}, "^status: "),
        ({"remaining": -5.0}, "^remaining: "),
        ({"error_every": -1}, "^error_every: "),
        ({"workspace": "mine"}, "^workspace: "),
        ({"batch_id": "batch_1"}, "^batch_id: "),
    ],
)
def test_an_impossible_batch_is_not_added(wrong: dict[str, Any], said: str) -> None:
    account = Account()
    with pytest.raises(ValueError, match=said):
        account.add(**{"requests": 1, **wrong})
    assert account.batches() == []


@pytest.mark.parametrize("number", [1, 40, 3_000])
def test_a_batch_takes_ten_minutes_or_more(number: int) -> None:
    for seed in range(10):
        batch = Account(seed=seed, speed=1).create(requests(number))
        assert batch.work_end - batch.created >= 10 * MINUTE


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_an_account_may_begin_with_a_mark_of_its_encoding(encoding: str) -> None:
    account = Account.from_json('{"batches": [{"requests": 3}]}'.encode(encoding))
    assert [batch.size for batch in account.batches()] == [3]


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_an_invalid_speed_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        Account(speed=speed)


def test_time_ends_where_dates_do() -> None:
    account = Account.example()
    with pytest.raises(ValueError, match="9989"):
        account.advance(9000 * 365 * DAY)
    account.advance(7000 * 365 * DAY)
    assert account.get(account.add(1)).describe(account.now(), "")["expires_at"]


def test_the_clock_can_only_be_advanced_forwards() -> None:
    with pytest.raises(ValueError, match="forwards"):
        Account().advance(-1)


def test_the_same_seed_makes_the_same_account() -> None:
    def story(seed: int) -> list[Any]:
        clock = Clock()
        account = Account.example(seed=seed, clock=clock)
        account.create(requests(50))
        for batch in account.batches():
            if batch.status(clock.now) == "in_progress":
                account.cancel(batch.id)
        clock.now += 30 * HOUR
        return [batch.describe(clock.now, "") for batch in account.batches()]

    assert story(0) == story(0)
    assert story(1) == story(1)
    assert [batch["id"] for batch in story(1)[1:]] != [batch["id"] for batch in story(2)[1:]]


def test_without_a_seed_every_account_has_other_ids(clock: Clock) -> None:
    accounts = [Account(clock=clock) for _ in range(50)]
    assert len({account.add(1) for account in accounts}) == 50


def test_ids_look_like_the_apis() -> None:
    account = Account.example()
    for batch in account.batches():
        assert len(batch.id) == len(DOCUMENTED_ID)
        assert batch.id.startswith("msgbatch_01")


def test_the_example_account_has_one_of_everything(clock: Clock) -> None:
    account = Account.example(clock=clock)
    shown = [batch.describe(clock.now, "https://results") for batch in account.page(limit=100)[0]]
    running = [batch for batch in shown if batch["processing_status"] == "in_progress"]
    assert len(running) == 4  # the documented one too
    assert len({sum(batch["request_counts"].values()) for batch in running}) == 4
    assert [batch["processing_status"] for batch in shown].count("canceling") == 1
    ended = [batch for batch in shown if batch["processing_status"] == "ended"]
    for outcome in ("succeeded", "errored", "canceled", "expired"):
        assert any(batch["request_counts"][outcome] for batch in ended)
    assert any(sum(batch["request_counts"].values()) == batch["request_counts"]["succeeded"] for batch in ended)
    assert [batch["results_url"] for batch in ended].count(None) == 1
    assert shown[-1]["id"] == DOCUMENTED_ID


def test_the_documented_batch_never_ends() -> None:
    account = Account.example()
    account.cancel(DOCUMENTED_ID)
    account.advance(400 * DAY)
    batch = account.get(DOCUMENTED_ID)
    assert batch.status(account.now()) == "canceling"
    assert batch.counts(account.now())["processing"] == 50
    with pytest.raises(APIError, match="is canceling"):
        account.delete(DOCUMENTED_ID)


def test_bad_parameters_fail_when_the_request_runs_and_no_sooner(clock: Clock) -> None:
    account = Account(clock=clock)
    good = requests(1, stream=False, temperature=0.5)
    bad: list[Any] = [
        {},
        {**PARAMS, "model": ""},
        {**PARAMS, "max_tokens": 0},
        {**PARAMS, "max_tokens": "10"},
        {**PARAMS, "messages": []},
        {**PARAMS, "messages": [{"role": "robot", "content": "Hi"}]},
        {**PARAMS, "messages": [{"role": "user"}]},
        {**PARAMS, "messages": [{"role": "user", "content": ["Hi"]}]},
        {**PARAMS, "stream": True},
        {**PARAMS, "temperature": "hot"},
        {**PARAMS, "temperature": True},
    ]
    batch = account.create(good + [{"custom_id": f"bad-{index}", "params": params} for index, params in enumerate(bad)])
    assert batch.counts(clock.now)["processing"] == 1 + len(bad)
    clock.now = batch.work_end
    counts = {"processing": 0, "succeeded": 1, "errored": len(bad), "canceled": 0, "expired": 0}
    assert batch.counts(clock.now) == counts
    for line in batch.results(clock.now):
        if line["custom_id"] == "q-0":
            message = line["result"]["message"]
            assert message["model"] == PARAMS["model"]
            assert "sandbox" in message["content"][0]["text"]
        else:
            envelope = line["result"]["error"]
            assert envelope["type"] == "error"
            assert envelope["error"]["type"] == "invalid_request_error"


def test_every_request_has_one_result_and_not_in_order(clock: Clock) -> None:
    account = Account(clock=clock)
    batch = account.create(requests(60))
    clock.now = batch.work_end
    names = [line["custom_id"] for line in batch.results(clock.now)]
    assert names != [f"q-{index}" for index in range(60)]
    assert sorted(names) == sorted(f"q-{index}" for index in range(60))


def test_workspaces_do_not_see_each_others_batches() -> None:
    account = Account()
    batch_id = account.add(10, workspace="wrkspc_a")
    assert account.page("wrkspc_a")[0] == [account.get(batch_id, "wrkspc_a")]
    assert account.page("wrkspc_b") == ([], False)
    with pytest.raises(APIError, match="no message batch"):
        account.get(batch_id, "wrkspc_b")


def test_ten_thousand_batches_are_listed_newest_first_whatever_the_order_they_came_in() -> None:
    account = Account()
    for number in range(10_000):
        account.add(1000, age=number * 7919 % 80_000)
    seen: list[SimulatedBatch] = []
    after = None
    more = True
    while more:
        page, more = account.page(limit=1000, after=after)
        seen += page
        after = page[-1].id
    assert len(seen) == len({batch.id for batch in seen}) == 10_000
    assert [batch.created for batch in seen] == sorted((batch.created for batch in seen), reverse=True)
