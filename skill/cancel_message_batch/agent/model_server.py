"""The official SDK's client for a server that has only the model, such as Ollama; the batches are elsewhere."""

from typing import Any

import anthropic

from cancel_message_batch.api import __version__
from cancel_message_batch.api.credentials import Connection, sdk_base_url

_OF_THE_EXCHANGE = frozenset({"accept-encoding", "connection", "content-length", "host", "transfer-encoding"})


class ModelClient(anthropic.Anthropic):
    """A client for such a server, also if it has the address of the batches."""


def model_client(connection: Connection, *, timeout: float | None = None, max_retries: int = 2) -> ModelClient:
    """Return a client that sends the connection's headers and none of the environment's.

    The SDK adds what belongs to the batches, such as ANTHROPIC_CUSTOM_HEADERS, to each of its clients.
    """
    own = {
        "accept": "application/json",
        "content-type": "application/json",
        "user-agent": f"cancel-message-batch/{__version__}",
        **connection.headers,
    }

    def only_own_headers(request: Any) -> None:
        for name in list(request.headers):
            if name not in _OF_THE_EXCHANGE:
                del request.headers[name]
        request.headers.update(own)

    return ModelClient(
        base_url=sdk_base_url(connection.base_url),
        auth_token=connection.auth_token or "-",  # with one given, the SDK looks for no other
        timeout=timeout or anthropic.not_given,
        max_retries=max_retries,
        http_client=anthropic.DefaultHttpxClient(
            follow_redirects=False,  # the whole conversation would follow it to any host
            event_hooks={"request": [only_own_headers]},
        ),
    )
