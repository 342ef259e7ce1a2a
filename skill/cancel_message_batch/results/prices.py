"""What tokens cost in a batch, by the price list of ``genai-prices``. Loading it takes about 70 ms."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

# Some prices depend on the length of the prompt. So the tokens of requests are added up by the thousand that their
# prompts reach: the limits (100,000 and 200,000 tokens) are multiples of it.
PRICED_TOGETHER = 1_000


def batch_cost(model: str, groups: Iterable[Sequence[int]], when: datetime) -> float | None:
    """Estimate in USD what requests have cost in a batch at this time; None if the price of the model is not known.

    ``groups`` holds, for requests with prompts of about the same length, their number and the sums of their tokens:
    input, output, cache writes, cache reads, and the cache writes for an hour.
    """
    from genai_prices import Usage, calc_price

    total = Decimal(0)
    try:
        for requests, *sums in groups:
            # The price of the average request, as many times as there are requests: the sum would be a long prompt.
            uncached, output, written, read, written_1h = (Decimal(n * 10**9 // requests) / 10**9 for n in sums)
            usage = Usage(
                input_tokens=uncached + written + read,
                output_tokens=output,
                cache_write_tokens=written,
                cache_write_1h_tokens=written_1h,
                cache_read_tokens=read,
            )
            price = calc_price(usage, model, provider_id="anthropic", genai_request_timestamp=when)
            total += price.total_price * requests
    except (LookupError, ValueError):
        return None
    return round(float(total) / 2, 6)  # "charged at 50% of the standard API prices" (batch processing guide)
