"""Posting to the ledger, and reading it."""
