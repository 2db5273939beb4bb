"""What every use case needs: the unit of work, the executor, idempotency and ports."""
