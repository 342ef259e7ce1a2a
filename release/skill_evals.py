"""Write evals/, which tools for Agent Skills read, from the cases of ``make evals``.

Only the cases of one message are there, and only those whose batches have no names: such a tool starts from one prompt
and from files. Run from the root of the checkout, by ``make skill-evals``.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

CASES = Path("tests/evals/cases.json")


def _id(account: str, name: str) -> str:
    return f"msgbatch_01{hashlib.sha256(f'{account} {name}'.encode()).hexdigest()[:22]}"


def _file(account: str) -> str:
    return f"evals/files/{account.replace(' ', '-')}.json"


def _eval(number: int, case: dict[str, Any]) -> dict[str, Any]:
    def ids(names: list[str]) -> list[str]:
        return [_id(case["account"], name) for name in names]

    must, may = ids(case["must"]), ids(case.get("may", []))
    if must:
        expected = f"A cancel is sent for {' and '.join(must)}, and for no other batch."
        answer = (
            "The answer says that the cancellation is requested, and does not say that a batch has already stopped."
        )
    elif may:
        expected = (
            f"No running batch is canceled. A cancel may be sent for {' and '.join(may)}, where it has no effect."
        )
        answer = "The answer does not say that a batch was canceled just now."
    else:
        expected = "No cancel is sent for any batch of the account."
        answer = "The answer does not say that a batch was canceled."
    journal = "GET /_sandbox/requests lists"
    return {
        "id": number,
        "prompt": re.sub(r"\{(\w+)\}", lambda name: _id(case["account"], name[1]), case["says"][0]),
        "expected_output": expected,
        "files": [_file(case["account"])],
        "expectations": [
            *(f"{journal} a POST to /v1/messages/batches/{one}/cancel." for one in must),
            f"{journal} no cancel of {'another' if must or may else 'a'} batch that is in {_file(case['account'])}.",
            answer,
        ],
    }


def skill_evals() -> dict[str, Any]:
    """Return the content of each file, by its path."""
    read = json.loads(CASES.read_text("utf-8"))
    accounts = {
        name: account for name, account in read["accounts"].items() if not any("name" in b for b in account.values())
    }
    used = {
        n: case for n, case in enumerate(read["cases"], 1) if len(case["says"]) == 1 and case["account"] in accounts
    }
    evals = [_eval(number, case) for number, case in used.items()]
    files: dict[str, Any] = {"evals/evals.json": {"skill_name": "cancel-message-batch", "evals": evals}}
    for name in {case["account"] for case in used.values()}:
        batches = [
            {
                "id": _id(name, one),
                "requests": batch["requests"],
                "age_seconds": batch["minutes"] * 60,
                "status": batch["status"],
            }
            for one, batch in accounts[name].items()
        ]
        files[_file(name)] = {"batches": batches}
    return files


if __name__ == "__main__":
    for path, content in skill_evals().items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")
