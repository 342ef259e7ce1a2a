"""The record: what this machine knows about batches and the API does not keep."""
