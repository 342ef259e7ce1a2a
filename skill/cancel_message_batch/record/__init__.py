"""The record: what this machine knows about batches and the API does not keep."""

from .processes import Process
from .store import Action, Creation, Entry, KnownBatch, Record, open_record

__all__ = ["Action", "Creation", "Entry", "KnownBatch", "Process", "Record", "open_record"]
