"""What is said after an error: what happened, what state the batch is in now, and what to do next."""

from typing import Literal

from cancel_message_batch.api.errors import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    ConfigurationError,
    InvalidInputError,
    MessageBatchError,
)
from cancel_message_batch.api.models import EXAMPLE_ID, ID_PREFIX

from .facts import duration, sentence

Action = Literal["cancel", "get", "list", "ask"]
LIST_THEM = "List the message batches to find the right id; a similar one is only a guess."
ID_LOOKS_LIKE = f"A message batch id is one word that starts with {ID_PREFIX}, for example {EXAMPLE_ID}. {LIST_THEM}"
CHECK_BASE_URL = "Check that the base URL (ANTHROPIC_BASE_URL) leads to the Anthropic API."


def failed(error: MessageBatchError, action: Action, message_batch_id: str = "") -> str:
    """Say what went wrong, what state the batch is in now, and what to do next."""
    what = str(error)
    if isinstance(error, InvalidInputError):
        return f"{sentence(what)} Nothing was sent.{' ' + ID_LOOKS_LIKE if error.about_id else ''}"
    if isinstance(error, ConfigurationError) and not error.may_have_arrived:
        return f"{sentence(what)} Nothing was sent."
    if isinstance(error, APIStatusError):
        what, advice = _refused(error, action, message_batch_id)
    elif isinstance(error, APIResponseError) and action == "ask":
        advice = "Try again; if it stays so, check that the base URL (ANTHROPIC_BASE_URL) leads to the Anthropic API."
    elif isinstance(error, APIResponseError):
        advice = "" if error.from_api else CHECK_BASE_URL
    elif isinstance(error, APIConnectionError):
        advice = "Check the network and the base URL (ANTHROPIC_BASE_URL), then try again."
    else:
        advice = ""
    return " ".join(part for part in (sentence(what), _state(error, action, message_batch_id), advice) if part)


def _state(error: MessageBatchError, action: Action, message_batch_id: str) -> str:
    if action != "cancel" or (isinstance(error, APIStatusError) and error.status_code == 404 and error.type):
        return ""
    if error.may_have_arrived:
        return (
            f"Whether the cancellation of {message_batch_id} was accepted is unknown; it may have been. "
            "Get its status: if it is still in_progress, cancel again, which is safe to repeat."
        )
    return f"{message_batch_id} was not canceled; if it was running, it still is."


def _refused(error: APIStatusError, action: Action, message_batch_id: str) -> tuple[str, str]:
    """Put an error answer in plain words: what happened, and what to do."""
    reference = f", request {error.request_id}" if error.request_id else ""
    wait = f"in {duration(error.retry_after)}" if error.retry_after else "in a minute"
    match error.status_code:
        case 401:
            return (
                f"The API did not accept the credential (401{reference}): {error.api_message}",
                "Check the API key (ANTHROPIC_API_KEY).",
            )
        case 402:
            return (
                f"The API reports a billing problem (402{reference}): {error.api_message}",
                "See the Console's billing page.",
            )
        case 403 if action != "ask":
            return (
                f"The credential may not {action} message batches (403{reference}): {error.api_message}",
                "Use a credential that may do so in the workspace of the batch.",
            )
        case 404 if action in {"cancel", "get"} and error.type:
            done = "; nothing was canceled" if action == "cancel" else ""
            where = f"the workspace {error.workspace_id}" if error.workspace_id else "this workspace"
            return (
                f"There is no message batch {message_batch_id} in {where} (404{reference}){done}",
                "The id may be mistyped, or the batch may be in another workspace: a request reaches only one. "
                f"{LIST_THEM}",
            )
        case 400 if error.api_message.startswith("You have reached your specified"):
            return (
                f"The organization has reached a limit that it set itself (400{reference}): {error.api_message}",
                "An administrator can raise the limit in the Console.",
            )
        case 429 if error.spend_limit_reached:
            return (
                f"The organization has reached its monthly spend limit (429{reference}): {error.api_message}",
                "Trying again does not help before the month ends. See the limits in the Console.",
            )
        case 429 | 529 as status:
            what = "is limiting requests" if status == 429 else "is overloaded"
            return f"The API {what} ({status}{reference})", f"Try again {wait}."
        case status if status >= 500 or status in {408, 409}:
            return f"The API failed ({status}{reference}): {error.api_message}", ""
        case status if error.type:
            return f"The API refused the request ({status} {error.type}{reference}): {error.api_message}", ""
        case status:
            return f"The request was refused ({status}{reference}): {error.api_message}", CHECK_BASE_URL
