"""Documents that people download."""
