"""The HTTP API: routes, credentials, strict bodies and problem details."""
