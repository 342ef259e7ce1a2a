"""The three tools over the Model Context Protocol: standard input and output, or streamable HTTP on loopback."""

from .http import TOKEN_VARIABLE, new_token, serve_loopback, token_fault
from .server import TIMEOUT, build_server, serve_stdio

__all__ = ["TIMEOUT", "TOKEN_VARIABLE", "build_server", "new_token", "serve_loopback", "serve_stdio", "token_fault"]
