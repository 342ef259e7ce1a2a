"""Whatever a client does and in whatever order: counts, times, listings and results agree at each moment."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx2
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from cancel_message_batch.sandbox import Account, Sandbox

from .conftest import HEADERS, Clock

GOOD = {"model": "claude-sonnet-5-5", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
BAD = {**GOOD, "max_tokens": 0}
HOUR = 3600.0
DAY = 24 * HOUR
moment = datetime.fromisoformat
SPEED = 0.007  # at which a batch takes about a day, so that some expire, and hours until a cancel has ended it
ORDER = ["in_progress", "canceling", "ended"]


class Life(RuleBasedStateMachine):
    """One account and its client. ``seen`` is the last state of each batch that has not been deleted."""

    batches = Bundle("batches")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.sandbox = Sandbox(account=Account(clock=self.clock, speed=SPEED))
        self.sandbox.start()
        self.client = httpx2.Client(base_url=f"{self.sandbox.url}/v1", headers=HEADERS, trust_env=False)
        self.seen: dict[str, dict[str, Any]] = {}
        self.bad: dict[str, set[str]] = {}

    def teardown(self) -> None:
        self.client.close()
        self.sandbox.stop()

    def call(self, method: str, path: str = "", **options: Any) -> httpx2.Response:
        return self.client.request(method, f"/messages/batches{path}", **options)

    @rule(target=batches, good=st.lists(st.booleans(), min_size=1, max_size=12))
    def create(self, good: list[bool]) -> str:
        requests = [{"custom_id": f"q-{n}", "params": GOOD if fine else BAD} for n, fine in enumerate(good)]
        created = self.call("POST", json={"requests": requests}).json()
        self.bad[created["id"]] = {f"q-{n}" for n, fine in enumerate(good) if not fine}
        self.seen[created["id"]] = created
        assert created["processing_status"] == "in_progress"
        assert created["request_counts"]["processing"] == len(good)
        return str(created["id"])

    @rule(seconds=st.sampled_from([0.001, 60.0, 3 * HOUR, 12 * HOUR, DAY, 30 * DAY]))
    def advance(self, seconds: float) -> None:
        self.sandbox.account.advance(seconds)

    @rule(batch=batches)
    def cancel(self, batch: str) -> None:
        before = self.call("GET", f"/{batch}").json()
        answer = self.call("POST", f"/{batch}/cancel")
        if before["processing_status"] == "ended":
            assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
        else:
            assert answer.json()["processing_status"] == "canceling"
            assert answer.json()["cancel_initiated_at"] == (before["cancel_initiated_at"] or self.now())

    @rule(target=batches, batch=consumes(batches))
    def delete(self, batch: str) -> Any:
        ended = self.call("GET", f"/{batch}").json()["processing_status"] == "ended"
        answer = self.call("DELETE", f"/{batch}")
        assert answer.status_code == (200 if ended else 400)
        if ended:
            del self.seen[batch]
            assert {self.call("GET", f"/{batch}{end}").status_code for end in ("", "/results")} == {404}
        return multiple() if ended else batch

    @rule(limit=st.integers(1, 4))
    def list(self, limit: int) -> None:
        listed: list[dict[str, Any]] = []
        page: dict[str, Any] = {"has_more": True}
        while page["has_more"]:
            after = {"after_id": listed[-1]["id"]} if listed else {}
            page = self.call("GET", params={"limit": limit, **after}).json()
            listed += page["data"]
        assert {batch["id"] for batch in listed} == set(self.seen)
        created = [batch["created_at"] for batch in listed]
        assert [*map(moment, created)] == sorted(map(moment, created), reverse=True)
        assert listed == [self.call("GET", f"/{batch['id']}").json() for batch in listed]

    @rule(batch=batches)
    def results(self, batch: str) -> None:
        shown = self.call("GET", f"/{batch}").json()
        answer = self.call("GET", f"/{batch}/results")
        assert (answer.status_code == 200) == (shown["results_url"] is not None)
        if answer.status_code != 200:
            return
        counts = dict.fromkeys(shown["request_counts"], 0)
        for line in map(json.loads, answer.text.splitlines()):
            counts[line["result"]["type"]] += 1
            if line["result"]["type"] in {"succeeded", "errored"}:
                assert (line["result"]["type"] == "errored") == (line["custom_id"] in self.bad[batch])
        assert counts == shown["request_counts"]

    @invariant()
    def every_batch_makes_sense_and_goes_on_from_what_it_was(self) -> None:
        for batch, before in self.seen.items():
            shown = self.call("GET", f"/{batch}").json()
            status, counts = shown["processing_status"], shown["request_counts"]
            assert sum(counts.values()) == sum(before["request_counts"].values())
            assert counts["processing"] in ({0} if status == "ended" else {sum(counts.values())})
            assert ORDER.index(status) >= ORDER.index(before["processing_status"])
            assert (status == "ended") == (shown["ended_at"] is not None)
            assert counts["canceled"] == 0 or shown["cancel_initiated_at"]
            assert not (status == "ended" and shown["archived_at"] is None) or shown["results_url"]
            names = ("created_at", "cancel_initiated_at", "ended_at", "expires_at")
            times = [moment(shown[name]) for name in names if shown[name]]
            assert times == sorted(times)
            for name in ("cancel_initiated_at", "ended_at", "archived_at"):
                assert before[name] in {None, shown[name]}
                assert shown[name] is None or moment(shown[name]) <= moment(self.now())
            if before["processing_status"] == "ended":
                assert counts == before["request_counts"]
            self.seen[batch] = shown

    def now(self) -> str:
        return datetime.fromtimestamp(self.sandbox.account.now(), UTC).isoformat().replace("+00:00", "Z")


TestLife = Life.TestCase
# The same examples each time, so that a change which breaks none of them never fails.
TestLife.settings = settings(
    max_examples=30, stateful_step_count=25, derandomize=True, database=None, deadline=None, phases=[Phase.generate]
)
