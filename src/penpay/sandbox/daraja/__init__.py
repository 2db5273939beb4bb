"""Safaricom's Daraja API as the sandbox operator speaks it, over HTTP."""
