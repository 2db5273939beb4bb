"""What the system can do: one function or small class per use case."""
