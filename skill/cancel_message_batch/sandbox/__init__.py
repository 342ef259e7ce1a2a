"""A sandbox of the Message Batches API: an imitation to try things on, without a key and without cost."""

from .account import Account
from .app import create_app
from .server import Sandbox
from .wire import Exchange, Fault

__all__ = ["Account", "Exchange", "Fault", "Sandbox", "create_app"]
