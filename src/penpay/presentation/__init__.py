"""How the outside reaches us: the HTTP API."""
