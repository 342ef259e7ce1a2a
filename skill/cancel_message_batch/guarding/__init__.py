"""Guarding what a program creates: ``guard`` in Python, and the command and its relay behind ``run``."""
