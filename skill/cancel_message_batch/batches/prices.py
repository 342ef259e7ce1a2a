"""What tokens cost in a batch: the only table of prices, and the day it was made."""

import re
from collections.abc import Mapping

AS_OF = "2026-11-24"

# USD for a million input and output tokens in a batch: half the standard price (batch processing guide: "All usage is
# charged at 50% of the standard API prices"). A model is here only where its price depends on nothing but the tokens,
# so Haiku 5.5 is not: its price depends on the length of the prompt. Sources, read on the day above:
#   platform.claude.com/docs/about-claude/models/whats-new-opus-5 and .../models/opus-5/overview (current models)
#   docs.anthropic.com/en/docs/build-with-claude/batch-processing (its table of batch prices: up to Opus 4.1)
#   docs.rs/cogito-claude (Sonnet 4.5, after the pricing page of November 2025)
#   dev.to/neverpaytwice/claude-batch-api-half-price-if-you-can-wait-ecg (Opus 4.8, Sonnet 4.6, after the guide)
_PRICES = {
    "claude-fable-5-1": (5.0, 25.0),
    "claude-fable-5": (5.0, 25.0),
    "claude-opus-5-5": (2.0, 10.0),
    "claude-opus-5": (2.5, 12.5),
    "claude-opus-4-8": (2.5, 12.5),
    "claude-opus-4-1": (7.5, 37.5),
    "claude-opus-4": (7.5, 37.5),
    "claude-sonnet-5-5": (1.0, 5.0),
    "claude-sonnet-5": (1.0, 5.0),
    "claude-sonnet-4-6": (1.5, 7.5),
    "claude-sonnet-4-5": (1.5, 7.5),
    "claude-sonnet-4": (1.5, 7.5),
    "claude-3-7-sonnet": (1.5, 7.5),
    "claude-3-5-sonnet": (1.5, 7.5),
    "claude-haiku-4-5": (0.5, 2.5),
    "claude-3-5-haiku": (0.4, 2.0),
    "claude-3-opus": (7.5, 37.5),
    "claude-3-haiku": (0.125, 0.625),
}
# Times the price of input tokens (the same pages: writes for 5 minutes and for an hour, reads).
_WRITE, _LONG_WRITE, _READ = 1.25, 2.0, 0.1


def cost(model: str, tokens: Mapping[str, int]) -> float | None:
    """Estimate in USD what tokens have cost in a batch; None when the price of the model is not known.

    Args:
        model: The model's id, with its date or without.
        tokens: The numbers of tokens: ``input``, ``output``, ``cache_write``, ``cache_write_1h`` (a part of the one
            before) and ``cache_read``.
    """
    price = _PRICES.get(re.sub(r"-\d{8}$", "", model))
    if price is None:
        return None
    long_write = tokens["cache_write_1h"]
    short_write = tokens["cache_write"] - long_write
    read = tokens["input"] + _WRITE * short_write + _LONG_WRITE * long_write + _READ * tokens["cache_read"]
    return (read * price[0] + tokens["output"] * price[1]) / 1e6
