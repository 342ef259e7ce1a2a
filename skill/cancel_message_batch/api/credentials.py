"""Which credential and base URL are in force, and where each came from.

This is the only place that reads the environment for them, in the official SDK's order: arguments, then
ANTHROPIC_API_KEY, then ANTHROPIC_AUTH_TOKEN, then what the SDK itself finds (profiles, workload identity). The SDK is
imported only for the last.
"""

import contextlib
import os
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from .errors import ConfigurationError, clean, from_sdk, masked

DEFAULT_BASE_URL = "https://api.anthropic.com"
MODEL_URL = "ANTHROPIC_MODEL_URL"  # a server of the Messages API that has the model, but not the batches
MODEL_KEY = "ANTHROPIC_MODEL_KEY"  # its key, if it wants one
NO_KEY = "none"  # goes to a base URL on this machine where there is no credential: the sandbox takes any
API_VERSION = "2023-06-01"
OAUTH_BETA = "oauth-2025-04-20"

BEHIND = "CANCEL_MESSAGE_BATCH_BEHIND"  # where the proxy of `run` is, and the API behind it: two origins

_CREDENTIALS = frozenset({"authorization", "x-api-key"})
_ONE_OF = frozenset({"api_key", "auth_token", "profile"})  # these arguments exclude each other
_SET_BY_HTTP_CLIENT = frozenset({"content-length", "transfer-encoding", "host", "connection"})
_SAID_OF_ITSELF = frozenset({"accept", "accept-encoding", "connection", "user-agent"})  # by any HTTP client

NO_CREDENTIAL = (
    "There is no Anthropic credential: set ANTHROPIC_API_KEY to your API key "
    "(to try this without a key, run `make demo` in the project's checkout, or `cancel-message-batch sandbox`)."
)


SDK_TOO_OLD = "{} need the package anthropic 2.2 or newer: pip install --upgrade anthropic"


@dataclass(frozen=True)
class Connection:
    """How to reach the API, and with which credential."""

    base_url: str  # with the version segment and without a slash at the end
    base_url_source: str  # for people, as is ``credential``, with at most the last four characters of it
    headers: Mapping[str, str] = field(repr=False)  # they hold the credential unless ``auth`` adds it
    credential: str
    to_check: str = ""  # what a person looks at when the API refuses the credential; holds nothing of it
    auth: Any = field(default=None, repr=False)  # an httpx2.Auth of the SDK, for credentials that are renewed
    secrets: tuple[str, ...] = field(default=(), repr=False)  # must never be shown
    api_key: str | None = field(default=None, repr=False)  # where the credential in force is one; the token likewise
    auth_token: str | None = field(default=None, repr=False)
    arguments: Mapping[str, str | None] = field(default_factory=dict, repr=False)  # of ``connect``

    def with_arguments(self, **arguments: str | None) -> "Connection":
        """Return the connection for other arguments of ``connect``; those that are None stay as they are."""
        changed = {name: value for name, value in arguments.items() if value is not None}
        if not changed:
            return self
        replaced = _ONE_OF if changed.keys() & _ONE_OF else frozenset()
        return connect(**{name: value for name, value in self.arguments.items() if name not in replaced} | changed)

    def over(self, client: Any) -> "Connection":
        """Return the connection over a caller's HTTP client, which may send secrets of its own with each request."""
        headers = {name: value for name, value in client.headers.items() if name not in _SAID_OF_ITSELF}
        sent = [*_custom_secrets(headers), *client.params.values(), *(cookie.value for cookie in client.cookies.jar)]
        return replace(self, secrets=(*self.secrets, *filter(None, sent)))


def connect(  # noqa: C901, PLR0912, PLR0915 - the order of precedence, top to bottom, in one place
    *,
    api_key: str | None = None,
    auth_token: str | None = None,
    base_url: str | None = None,
    profile: str | None = None,
    workspace_id: str | None = None,
) -> Connection:
    """Find the credential and the base URL; arguments go before what the environment holds.

    A base URL whose path ends in a version (``v1``, ``1.0.0``) is used as it is; to any other path /v1 is appended, as
    the SDK does.
    """
    arguments = dict(locals())
    if sum(value is not None for value in (api_key, auth_token, profile)) > 1:
        raise ConfigurationError("Give only one of api_key, auth_token and profile.")
    base_url, base_url_source = (
        (base_url, "the argument given")
        if base_url
        else (os.environ.get("ANTHROPIC_BASE_URL", "").strip(), "ANTHROPIC_BASE_URL")
    )
    custom = _custom_headers(os.environ.get("ANTHROPIC_CUSTOM_HEADERS", ""))
    if workspace_id is not None:
        custom.pop("anthropic-workspace-id", None)  # an argument goes before the environment
    source = "the argument given"
    if api_key is None and auth_token is None and profile is None:
        if api_key := os.environ.get("ANTHROPIC_API_KEY", "").strip() or None:
            source = "ANTHROPIC_API_KEY"
        elif auth_token := os.environ.get("ANTHROPIC_AUTH_TOKEN", "").strip() or None:
            source = "ANTHROPIC_AUTH_TOKEN"
    else:
        custom = {name: value for name, value in custom.items() if name not in _CREDENTIALS}
    headers = {"anthropic-version": API_VERSION}
    auth: Any = None
    secret = ""
    if carried := _CREDENTIALS & custom.keys():
        # Two credentials in two headers are refused (API reference: Errors), and a custom header wins in the SDK.
        name = min(carried)
        custom = {other: value for other, value in custom.items() if other == name or other not in _CREDENTIALS}
        secret = custom[name].rpartition(" ")[2]
        credential = f"{name} header {masked(secret)} from ANTHROPIC_CUSTOM_HEADERS"
        to_check = f"the {name} header in ANTHROPIC_CUSTOM_HEADERS"
    elif api_key is not None:
        headers["x-api-key"] = secret = _header_value("API key", source, api_key)
        credential, to_check = f"API key {masked(secret)} from {source}", f"the API key ({source})"
    elif auth_token is not None:
        secret = _header_value("token", source, auth_token)
        headers |= {"authorization": f"Bearer {secret}", "anthropic-beta": OAUTH_BETA}
        credential, to_check = f"token {masked(secret)} from {source}", f"the token ({source}); it may have expired"
    elif (client := _sdk_client(base_url or None, profile)) is None:
        if not _on_this_machine(base_url):
            raise ConfigurationError(NO_CREDENTIAL)
        headers["x-api-key"] = NO_KEY
        credential, to_check = "none; the base URL is on this machine", "ANTHROPIC_API_KEY, which is not set"
    else:
        auth = client.custom_auth
        credential = f"profile {profile}" if profile else "profile or workload identity, as the Anthropic SDK finds it"
        to_check = f"the {clean(credential, limit=100)}; the sign-in may have expired"
        if workspace := client.default_headers.get("anthropic-workspace-id"):
            headers["anthropic-workspace-id"] = str(workspace)
        if not base_url:
            base_url, base_url_source = str(client.base_url), "the profile, or the SDK's default"
    if workspace_id is not None:
        headers["anthropic-workspace-id"] = _header_value("workspace id", "the argument given", workspace_id)
    root, userinfo = _api_root(base_url or DEFAULT_BASE_URL, base_url_source)
    secrets = [secret, *_custom_secrets(custom)]
    if userinfo:
        if "authorization" in {*headers, *custom} or auth is not None:
            raise ConfigurationError(
                f"The base URL from {base_url_source} holds a user name, and the credential needs the same header: "
                "leave the user name out, or use an API key."
            )
        basic = b64encode(unquote(userinfo).encode()).decode()
        headers["authorization"] = f"Basic {basic}"
        secrets += [basic, *(text for part in (userinfo, unquote(userinfo)) for text in (part, part.partition(":")[2]))]
        credential += ", and the user name and password of the base URL"
    return Connection(
        base_url=root,
        base_url_source=base_url_source if base_url else "the default",
        headers={**headers, **custom},
        credential=credential,
        to_check=to_check,
        auth=auth,
        secrets=tuple(dict.fromkeys(filter(None, secrets))),
        api_key=headers.get("x-api-key") if not carried else None,
        auth_token=secret if auth_token is not None and not carried else None,
        arguments=arguments,
    )


def connect_model(url: str | None = None) -> Connection | None:
    """Return how to reach the server that has only the model; None if the model is where the batches are.

    Nothing that belongs to the batches goes there: no key, no profile, no custom header, no workspace. Its own key
    comes from ANTHROPIC_MODEL_KEY; many such servers need none.
    """
    url, source = (url, "--model-url") if url else (os.environ.get(MODEL_URL, "").strip(), MODEL_URL)
    if not url:
        return None
    root, userinfo = _api_root(url.rstrip("/").removesuffix("/messages"), source, "model URL")
    if userinfo:
        raise ConfigurationError(f"The model URL from {source} holds a user name: set {MODEL_KEY} to the key instead.")
    key = os.environ.get(MODEL_KEY, "").strip()
    headers = {"authorization": f"Bearer {_header_value('key', MODEL_KEY, key)}"} if key else {}
    return Connection(
        base_url=root,
        base_url_source=source,
        headers={"anthropic-version": API_VERSION, **headers},
        credential=f"key {masked(key)} from {MODEL_KEY}" if key else f"no key ({MODEL_KEY})",
        secrets=(key,) if key else (),
        auth_token=key or None,
    )


def program_base_url() -> str:
    """Return the base URL that the official SDK would use in a program with this environment."""
    if not (base_url := os.environ.get("ANTHROPIC_BASE_URL", "").strip()):
        with contextlib.suppress(ConfigurationError):  # the program may have a credential of its own
            base_url = sdk_base_url(connect().base_url)
    _api_root(base_url or DEFAULT_BASE_URL, "ANTHROPIC_BASE_URL")
    return base_url or DEFAULT_BASE_URL


def connection_with(base_url: str, headers: Mapping[str, str]) -> Connection:
    """Return the connection with which another program reached the API; ``headers`` hold its credential."""
    secrets = tuple(dict.fromkeys(filter(None, _custom_secrets(headers))))
    return Connection(base_url, "the command's requests", headers, "the command's own", secrets=secrets)


def sdk_base_url(base_url: str) -> str:
    """Return a base URL for the official SDK, which appends /v1 itself."""
    return base_url.removesuffix("/v1")


def origin(url: str) -> str:
    """Return the scheme, host and port of a URL; of the API itself, if the URL is that of the proxy of `run`."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    found = f"{parts.scheme}://{host}:{port}"
    proxy, _, api = os.environ.get(BEHIND, "").partition(" ")
    return api if api and found == proxy else found


def model_place(url: str) -> str:
    """Say which server it is that has the model."""
    return f"the model at {clean(urlsplit(url).netloc.rpartition('@')[2])}"


def _on_this_machine(base_url: str) -> bool:
    with contextlib.suppress(ValueError):
        return urlsplit(origin(base_url)).hostname in {"127.0.0.1", "localhost", "::1"}
    return False


def _api_root(base_url: str, source: str, what: str = "base URL") -> tuple[str, str]:
    """Return where the paths of the API begin, and the user name and password that stood in the URL."""
    # What stands before an @ may be a password, and what follows ? or # a token.
    shown = clean(re.sub(r"^([a-zA-Z]+:/*)?.*@", r"\1…@", re.sub(r"[?#].*", "", base_url, flags=re.DOTALL)))
    named = f'The {what} "{shown}" from {source}'
    usable = False
    with contextlib.suppress(ValueError):
        parts = urlsplit(base_url)
        if parts.hostname and ":" not in parts.hostname:
            parts.hostname.encode("idna")
        usable = bool(parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0)
    # Raised outside of the handler: the parser's own error may repeat a password.
    if not usable or re.search(r"[^\x21-\x7e]", base_url):
        raise ConfigurationError(f"{named} is not an http or https URL such as {DEFAULT_BASE_URL}.")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"{named} was given with a query (?) or a fragment (#), which it must not have.")
    path = parts.path.rstrip("/")
    if not re.search(r"/(v\d+|\d+(\.\d+)+)$", path):
        path += "/v1"
    userinfo, _, place = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, place, path, "", "")), userinfo


def _custom_secrets(headers: Mapping[str, str]) -> list[str]:
    """Return what must not be shown of the custom headers."""
    values = [value for name, value in headers.items() if not is_public(name)]
    return [part for value in values for part in (value, value.rpartition(" ")[2])]


def is_public(header: str) -> bool:
    """Return whether a header is known to hold no secret: only the API's own are."""
    return header.startswith("anthropic-")


def _header_value(what: str, source: str, value: str) -> str:
    value = value.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ConfigurationError(f"The {what} from {source} is empty or has a character that a {what} cannot have.")
    return value


def _custom_headers(lines: str) -> dict[str, str]:
    headers = {}
    for line in lines.splitlines():
        name, colon, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon:
            continue
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", name) or re.search(r"[^\x20-\x7e]", value):
            raise ConfigurationError(f'ANTHROPIC_CUSTOM_HEADERS contains a line that is not a header: "{clean(name)}".')
        if name in _SET_BY_HTTP_CLIENT:
            raise ConfigurationError(f"ANTHROPIC_CUSTOM_HEADERS sets {name}, which only the HTTP client can set.")
        headers[name] = value
    return headers


def _sdk_client(base_url: str | None, profile: str | None) -> Any:
    """Return a client of the SDK with the credential that it finds; None if it finds none."""
    import anthropic

    if int(anthropic.__version__.partition(".")[0]) < 1:  # 0.x hands out credentials for httpx, not httpx2
        if profile:
            raise ConfigurationError(SDK_TOO_OLD.format("Profiles"))
        return None
    try:
        client = anthropic.Anthropic(base_url=base_url, profile=profile)
    except Exception as error:
        if (known := from_sdk(error)) is None and not isinstance(error, ValueError):
            raise
        raise ConfigurationError(f"The SDK could not load a credential: {clean(str(known or error))}") from error
    return client if client.custom_auth is not None else None
