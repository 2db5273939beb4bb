"""Measurements of the running system; they are not tests and nothing imports them."""
