"""The Message Batches API over the wire, by a client of this version."""

__version__ = "0.1.0"
