"""Which errored requests certainly fail again when they are sent again as they are: the only list of them."""

import re

# The size of a request does not change (API reference: Errors).
_TYPES = frozenset({"request_too_large"})

# The type invalid_request_error alone says nothing: an empty account answers "Your credit balance is too low" with it
# (bespokelabsai/curator issue 296). So its message has to say that the request itself is wrong. Sources: the messages
# of the API as users report them.
_MESSAGES = re.compile(
    r"""
    prompt\ is\ too\ long:\ \d+\ tokens\ >\ \d+\ maximum       # anthropics/claude-code issue 59696
    | max_tokens:\ \d+\ >\ \d+                                # the model's maximum number of output tokens
    | input\ length\ and\ `max_tokens`\ exceed\ context\ limit
    | [\w.\[\]]+:\ (Field\ required|Extra\ inputs\ are\ not\ permitted|(Input|String|List)\ should\ )  # its validation
    | messages:\ text\ content\ blocks\ must\ (be\ non-empty|contain\ non-whitespace\ text)  # the same, 53473 and 23352
    | messages\.\d+:\ all\ messages\ must\ have\ non-empty\ content  # the same, 4416
    | messages:\ (at\ least\ one\ message\ is\ required|roles\ must\ alternate)
    """,
    re.VERBOSE,
)


def fails_again(kind: object, message: object) -> bool:
    """Return whether a request that ended with this error certainly fails again.

    Args:
        kind: The error's type.
        message: The API's words.
    """
    if kind in _TYPES:
        return True
    return kind == "invalid_request_error" and isinstance(message, str) and _MESSAGES.match(message) is not None
