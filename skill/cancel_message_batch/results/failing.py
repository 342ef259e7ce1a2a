"""Which errored requests certainly fail again when they are sent again as they are: the only list of them."""

import re

# The type invalid_request_error alone says nothing: an empty account answers "Your credit balance is too low" with it
# (bespokelabsai/curator issue 296). So its message has to say that the request itself is wrong. Each source is an issue
# that quotes the API; a number alone is one of anthropics/claude-code. "roles must alternate" is not here: the API
# accepts such requests since (anthropics/courses issue 57).
_MESSAGES = re.compile(
    r"""
    prompt\ is\ too\ long:\ \d+\ tokens\ >\ \d+\ maximum                                # 59696
    | max_tokens:\ \d+\ >\ \d+,\ which\ is\ the\ maximum                                # 24451
    | input\ length\ and\ `max_tokens`\ exceed\ context\ limit:\ \d+\ \+\ \d+\ >\ \d+    # 228
    | [\w.\[\]-]+:\ (
        Field\ required                                                                  # 26542
        | Extra\ inputs\ are\ not\ permitted                                             # 4378
        | (Input|String)\ should\                                                        # 6696, 1423
      )
    | messages:\ at\ least\ one\ message\ is\ required                                   # langgenius/dify 25953
    | messages:\ text\ content\ blocks\ must\ (be\ non-empty|contain\ non-whitespace\ text)  # 53473, 23352
    | messages\.\d+:\ all\ messages\ must\ have\ non-empty\ content                       # 4416
    """,
    re.VERBOSE,
)


def fails_again(kind: str, message: str) -> bool:
    """Return whether a request that ended with this type of error and message certainly fails again."""
    if kind == "request_too_large":  # it has the same size again (API reference: Errors)
        return True
    return kind == "invalid_request_error" and _MESSAGES.match(message) is not None
