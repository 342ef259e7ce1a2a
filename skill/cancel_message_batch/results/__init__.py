"""Saving the results of a batch that has ended, and preparing what is left to send."""
