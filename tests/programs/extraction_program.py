"""Run by test_extraction.py: libraries that extract data find what they asked for in the sandbox's results."""

import functools
import os
import sys
from typing import Literal

import anthropic
from httpx2 import post
from instructor.batch import BatchProcessor
from instructor.batch.models import BatchSuccess
from pydantic import BaseModel, Field
from steadybatch import Request, Runner
from steadybatch.providers.anthropic_batch import AnthropicBatch

MODEL = "claude-sonnet-5-5"
URL = sys.argv[1]


class Address(BaseModel):
    street: str = Field(min_length=1)
    code: str = Field(pattern=r"^\d{5}$")


class Person(BaseModel):
    name: str
    age: int = Field(ge=18, le=120)
    kind: Literal["customer", "supplier"]
    addresses: list[Address] = Field(min_length=1)
    referred_by: "Person | None"


def advance(_: float = 0) -> None:
    post(f"{URL}/_sandbox/advance", json={"seconds": 3600}).raise_for_status()


os.environ |= {"ANTHROPIC_BASE_URL": URL, "ANTHROPIC_API_KEY": "any"}

# instructor reads results after it has let go of its client, which may then close the connection first.
anthropic.Anthropic = functools.cache(anthropic.Anthropic)  # type: ignore[assignment, misc]

processor = BatchProcessor(f"anthropic/{MODEL}", Person)
conversations = [[{"role": "user", "content": f"Person {number}"}] for number in range(3)]
batch_id = processor.submit_batch(processor.create_batch_from_messages(conversations))
advance()
results = processor.get_results(batch_id)
assert all(isinstance(result, BatchSuccess) for result in results), results
assert sorted(result.custom_id for result in results) == ["request-0", "request-1", "request-2"]

schema = Person.model_json_schema()
runner = Runner(AnthropicBatch(), MODEL, response_schema=schema, sleep=advance)
asked = [Request(str(number), [{"role": "user", "content": f"Person {number}"}]) for number in range(3)]
report = runner.run(asked)
assert (report.ok, report.failed, report.lines_invalid) == (3, 0, 0), report
Person.model_validate(report.results[0].data)
print("instructor and steadybatch extracted 3 of 3 each")
