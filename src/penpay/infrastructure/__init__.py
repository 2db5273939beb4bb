"""Adapters: one folder per thing outside the process."""
