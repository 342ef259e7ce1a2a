"""A sandbox of the Message Batches API: a local imitation that needs no key and costs nothing."""

from .account import Account
from .faults import FAULTS, Fault
from .journal import Journal, JournalEntry
from .server import Sandbox

__all__ = ["FAULTS", "Account", "Fault", "Journal", "JournalEntry", "Sandbox"]
