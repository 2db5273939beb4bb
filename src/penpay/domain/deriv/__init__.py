"""Deriv as its payment-agent API speaks it: the port, and which answers mean yes, no or unknown."""
