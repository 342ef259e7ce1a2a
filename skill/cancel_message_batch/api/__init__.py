"""The Message Batches API over the wire."""
