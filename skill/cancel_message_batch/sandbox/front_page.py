"""What the sandbox answers at ``/``: where its paths are, as a page for a browser and as JSON for a program."""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

_ABOUT = "A sandbox of the Anthropic Message Batches API. Everything in it is simulated."
_PATHS = {
    "GET /_sandbox/requests": "the journal: every request to the API, and the status of its response",
    "DELETE /_sandbox/requests": "forgets the journal",
    "GET /_sandbox/batches": "the batches of all workspaces, with what the API does not show",
    "POST /_sandbox/batches": "adds a batch",
    "POST /_sandbox/batches/{id}/finish": "ends a batch",
    "POST /_sandbox/advance": "advances the clock",
    "GET /_sandbox/faults": "the faults that are still to come",
    "POST /_sandbox/faults": "lets something go wrong",
    "DELETE /_sandbox/faults": "forgets those faults",
    "POST /v1/messages/batches": "creates a batch",
    "GET /v1/messages/batches": "lists batches",
    "GET /v1/messages/batches/{id}": "retrieves a batch",
    "POST /v1/messages/batches/{id}/cancel": "cancels a batch",
    "GET /v1/messages/batches/{id}/results": "the results of an ended batch",
    "DELETE /v1/messages/batches/{id}": "deletes an ended batch",
    "POST /v1/messages": "a scripted stand-in for Claude",
}
_HTML = """\
<!doctype html>
<html lang="en">
<title>Message Batches sandbox</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 50rem; padding: 0 1rem }}
td {{ padding-right: 1rem; vertical-align: top }}</style>
<h1>Message Batches sandbox</h1>
<p>{about} Paths below /v1 need an API key and a version; any key will do unless the sandbox was given one.</p>
<table>
{rows}
</table>
"""


async def front_page(request: Request) -> Response:
    """Answer with links for a browser, with JSON otherwise."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"about": _ABOUT, "paths": _PATHS})
    rows = "\n".join(f"<tr><td>{_linked(path)}</td><td>{escape(text)}</td></tr>" for path, text in _PATHS.items())
    return HTMLResponse(_HTML.format(about=_ABOUT, rows=rows))


def _linked(path: str) -> str:
    """Link what a browser can open."""
    method, _, address = path.partition(" ")
    shown = f"<code>{escape(path)}</code>"
    return f'<a href="{address}">{shown}</a>' if method == "GET" and address.startswith("/_sandbox/") else shown
