"""Registering users and what is theirs."""
