"""An evaluation in a batch. As a program, it fails if the evaluation did."""

import sys

from inspect_ai import Task, eval, task  # noqa: A004 - its name there
from inspect_ai.dataset import Sample
from inspect_ai.model import BatchConfig, GenerateConfig
from inspect_ai.solver import generate


@task
def questions() -> Task:
    batch = BatchConfig(size=3, send_delay=0.1, tick=0.1, max_consecutive_check_failures=1)
    questions = [Sample(input=f"Question {number}") for number in range(3)]
    return Task(dataset=questions, solver=generate(), config=GenerateConfig(batch=batch))


if __name__ == "__main__":
    (log,) = eval(questions(), model="anthropic/claude-sonnet-5-5", display="plain")
    sys.exit(log.status != "success")
