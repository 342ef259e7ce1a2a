"""The estimate of what a batch has cost: what the price list says, halved."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import Usage, __version__, calc_price

from cancel_message_batch import MessageBatches
from cancel_message_batch.results.prices import batch_cost
from cancel_message_batch.sandbox import Sandbox

from .strange_results import answered, run, serve

NOW = datetime.now(UTC)


def standard(model: str, **tokens: int) -> Decimal:
    return calc_price(Usage(**tokens), model, provider_id="anthropic", genai_request_timestamp=NOW).total_price


@pytest.mark.parametrize("model", ["claude-fable-5-2", "claude-sonnet-5-5", "claude-sonnet-4-20250514"])
def test_a_batch_costs_half_of_the_standard_price(
    sandbox: Sandbox, batches: MessageBatches, out: Path, model: str
) -> None:
    hour = {"ephemeral_1h_input_tokens": 300, "ephemeral_5m_input_tokens": 100}
    cached = {"cache_creation_input_tokens": 400, "cache_creation": hour, "cache_read_input_tokens": 5000}
    lines = [answered(f"r{n}", model, input_tokens=10 + n, output_tokens=7, **cached) for n in range(3)]
    serve(sandbox, lines, {"succeeded": 3})
    summary = run(batches, out).summary
    assert summary
    cache = {"cache_write_tokens": 1200, "cache_write_1h_tokens": 900, "cache_read_tokens": 15000}
    half = standard(model, input_tokens=33 + 1200 + 15000, output_tokens=21, **cache) / 2
    assert summary["estimate"]["usd"] == pytest.approx(float(half), abs=1e-6)
    assert summary["estimate"]["prices"] == f"genai-prices {__version__}"


def test_a_price_that_depends_on_the_prompt_is_that_of_each_prompt_and_not_of_their_sum(
    sandbox: Sandbox, batches: MessageBatches, out: Path
) -> None:
    prompts = [10_000] * 30 + [99_999, 100_000, 100_001, 150_000]
    model = "claude-haiku-5-5"
    lines = [answered(f"r{n}", model, input_tokens=size, output_tokens=10) for n, size in enumerate(prompts)]
    serve(sandbox, lines, {"succeeded": len(lines)})
    summary = run(batches, out).summary
    assert summary
    each = [standard(model, input_tokens=size, output_tokens=10) for size in prompts]
    assert summary["estimate"]["usd"] == pytest.approx(float(sum(each) / 2), abs=1e-6)
    assert sum(each) < standard(model, input_tokens=sum(prompts), output_tokens=10 * len(prompts))


def test_an_unknown_model_has_no_price() -> None:
    assert batch_cost("claude-unheard-of-9", [(1, 1, 1, 0, 0, 0)], NOW) is None
