"""What is said after an error: what happened, what state the batch is in now, and what to do next."""

import re
from typing import Literal

from cancel_message_batch.api.credentials import MODEL_KEY, MODEL_URL
from cancel_message_batch.api.errors import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    ConfigurationError,
    InvalidInputError,
    MessageBatchError,
)
from cancel_message_batch.api.models import EXAMPLE_ID, ID_PREFIX

from .facts import duration, from_elsewhere, sentence

Action = Literal["cancel", "get", "list", "ask"]
LIST_THEM = "List the message batches to find the right id; a similar one is only a guess."
ID_LOOKS_LIKE = f"A message batch id is one word that starts with {ID_PREFIX}, for example {EXAMPLE_ID}. {LIST_THEM}"
CHECK_BASE_URL = "Check that the base URL (ANTHROPIC_BASE_URL) leads to the Anthropic API."
CHECK_MODEL_URL = f"Check that the model URL (--model-url, {MODEL_URL}) leads to a server of the Messages API."


def failed(error: MessageBatchError, action: Action, message_batch_id: str = "") -> str:
    """Say what went wrong, what state the batch is in now, and what to do next."""
    what, own_words = error.brief, ""
    if isinstance(error, InvalidInputError):
        return f"{sentence(what)} Nothing was sent.{' ' + ID_LOOKS_LIKE if error.about_id else ''}"
    if isinstance(error, ConfigurationError) and not error.may_have_arrived:
        return f"{sentence(what)} Nothing was sent."
    if isinstance(error, APIStatusError):
        what, advice = _refused(error, action, message_batch_id)
        own_words = from_elsewhere(error.api_message, "the API")
    elif isinstance(error, APIResponseError) and action == "ask":
        advice = (
            "Try again; if it fails again, check that the base URL (ANTHROPIC_BASE_URL) leads to the Anthropic API."
        )
    elif isinstance(error, APIResponseError):
        advice = "" if error.from_api else CHECK_BASE_URL
    elif isinstance(error, APIConnectionError):
        advice = "Check the network and the base URL (ANTHROPIC_BASE_URL), then try again."
    else:
        advice = ""
    state = _state(error, action, message_batch_id)
    return " ".join(part for part in (sentence(what), state, advice, own_words) if part)


def model_failed(error: MessageBatchError, place: str) -> str:
    """Say what went wrong at the server that has only the model; the batches are elsewhere, and so is their key."""
    what, advice, own_words = error.brief, "", ""
    if isinstance(error, ConfigurationError):
        advice = "Nothing was sent."
    elif isinstance(error, APIStatusError):
        what, advice = _refused_by_model(error, place)
        own_words = from_elsewhere(error.api_message, place)
    elif isinstance(error, APIConnectionError):
        advice = f"Check that the server is running, and the model URL (--model-url, {MODEL_URL})."
    elif isinstance(error, APIResponseError):
        advice = CHECK_MODEL_URL
    return " ".join(part for part in (sentence(what), advice, own_words) if part)


def unnamed_model(base_url: str) -> str:
    """Say that a server which has only the model has no default one."""
    return (
        f"name the model that the server at {base_url} is to use, with --model or ANTHROPIC_MODEL. "
        f"GET {base_url}/models usually lists those that it has (Ollama: `ollama list`)"
    )


def _refused_by_model(error: APIStatusError, place: str) -> tuple[str, str]:
    reference = f"{error.status_code}{f' {error.type}' if error.type else ''}"
    match error.status_code:
        # Ollama "does not support tools", llama.cpp "tools param requires --jinja", vLLM "tool choice requires …".
        case _ if re.search(r"\btools?\b.*(support|require|enable)|support.*\btools?\b", error.api_message):
            advice = (
                "Choose a model that can with --model, or start the server so that its model can (llama.cpp: --jinja; "
                "vLLM: --enable-auto-tool-choice)."
            )
            return f"{place} does not call tools ({reference})", advice
        case 401 | 403:
            advice = f"Set its own key in {MODEL_KEY}; the key of the batches does not go there."
            return f"{place} did not accept the key, or wants one ({reference})", advice
        case 400 if re.search("(?i)(invalid|unknown|no such) model|model .*(not found|not exist)", error.api_message):
            return f"{place} does not know this model ({reference})", "Name a model that it has with --model."
        case 404:
            return (
                f"{place} does not know this model, or is not a server of the Messages API ({reference})",
                f"Name a model that it has with --model. {CHECK_MODEL_URL}",
            )
        case status if status >= 500 or status in {408, 409, 429}:
            return f"{place} failed ({reference})", "Try again."
    return f"{place} refused the request ({reference})", ""


def _state(error: MessageBatchError, action: Action, message_batch_id: str) -> str:
    if action != "cancel":
        return ""
    if error.may_have_arrived:
        return (
            f"It is not known whether the cancellation of {message_batch_id} was accepted; it may have been. "
            "Get its status: if it is still in_progress, cancel again, which is safe to repeat."
        )
    if isinstance(error, APIStatusError) and error.status_code == 404 and error.type:
        return ""
    return f"{message_batch_id} was not canceled; if it was running, it still is."


def _refused(error: APIStatusError, action: Action, message_batch_id: str) -> tuple[str, str]:
    """Put an error response in plain words: what happened, and what to do."""
    reference = f"{error.status_code}{f', request {error.request_id}' if error.request_id else ''}"
    wait = f"Try again in {duration(error.retry_after) if error.retry_after else 'a minute'}."
    match error.status_code:
        case 400 if error.api_message.startswith("You have reached your specified"):
            advice = "An administrator can raise the limit in the Console."
            return f"The organization has reached a limit that it set itself ({reference})", advice
        case 401:
            which = error.credential or "the API key (ANTHROPIC_API_KEY) or the token (ANTHROPIC_AUTH_TOKEN)"
            return f"The API did not accept the credential ({reference})", f"Check {which}."
        case 402:
            return f"The API reports a billing problem ({reference})", "See the Console's billing page."
        case 403 if action != "ask":
            advice = "Use a credential that may do so in the workspace of the batch."
            return f"The credential may not {action} message batches ({reference})", advice
        case 404 if action in {"cancel", "get"} and error.type:
            done = "; nothing was canceled" if action == "cancel" and not error.may_have_arrived else ""
            where = f"the workspace {error.workspace_id}" if error.workspace_id else "this workspace"
            advice = "The id may be mistyped, or the batch may be in another workspace: a request reaches only one."
            return (
                f"There is no message batch {message_batch_id} in {where} ({reference}){done}",
                f"{advice} {LIST_THEM}",
            )
        case 429 if error.spend_limit_reached:
            advice = "Trying again does not help before the month ends. See the limits in the Console."
            return f"The organization has reached its monthly spend limit ({reference})", advice
        case 429 | 529 as status:
            return f"The API is {'overloaded' if status == 529 else 'limiting requests'} ({reference})", wait
        case status if status >= 500 or status in {408, 409}:
            return f"The API failed ({reference})", ""
    if error.type:
        return f"The API refused the request ({error.status_code} {error.type}{reference[3:]})", ""
    return f"The request was refused ({reference})", CHECK_BASE_URL
