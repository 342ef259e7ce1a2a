"""What tokens cost in a batch: the only table of prices, and the day it was made."""

import re
from collections.abc import Mapping

AS_OF = "2026-10-09"

# USD for a million input and output tokens in a batch, and what part of the input price a cache read costs. Sources, in
# their newest copies of the day above: platform.claude.com/docs/en/build-with-claude/batch-processing ("All usage is
# charged at 50% of the standard API prices") and platform.claude.com/docs/en/about-claude/pricing; for Claude 3.7,
# docs.anthropic.com/en/docs/build-with-claude/batch-processing. A model is here only where its price depends on nothing
# but the tokens, so Haiku 5.5 is not: its price depends on the length of the prompt.
_PRICES = {
    "claude-fable-5-1": (5.0, 25.0, 0.025),
    "claude-fable-5": (5.0, 25.0, 0.1),
    "claude-opus-5-5": (2.0, 10.0, 0.05),
    "claude-opus-5": (2.5, 12.5, 0.1),
    "claude-opus-4-8": (2.5, 12.5, 0.1),
    "claude-opus-4-7": (2.5, 12.5, 0.1),
    "claude-opus-4-6": (2.5, 12.5, 0.1),
    "claude-opus-4-5": (2.5, 12.5, 0.1),
    "claude-opus-4-1": (7.5, 37.5, 0.1),
    "claude-opus-4": (7.5, 37.5, 0.1),
    "claude-sonnet-5-5": (1.0, 5.0, 0.05),
    "claude-sonnet-5": (1.0, 5.0, 0.1),
    "claude-sonnet-4-6": (1.5, 7.5, 0.1),
    "claude-sonnet-4-5": (1.5, 7.5, 0.1),
    "claude-sonnet-4": (1.5, 7.5, 0.1),
    "claude-3-7-sonnet": (1.5, 7.5, 0.1),
    "claude-haiku-4-5": (0.5, 2.5, 0.1),
    "claude-3-5-haiku": (0.4, 2.0, 0.1),
}
_WRITE, _LONG_WRITE = 1.25, 2.0  # times the input price: cache writes for 5 minutes and for an hour


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
    per_input, per_output, per_read = price
    long_write = tokens["cache_write_1h"]
    short_write = tokens["cache_write"] - long_write
    read = tokens["input"] + _WRITE * short_write + _LONG_WRITE * long_write + per_read * tokens["cache_read"]
    return (read * per_input + tokens["output"] * per_output) / 1e6
