"""Throw-away servers: real database servers that tests and benchmarks start for themselves and leave nothing of."""
