"""A Deriv that runs here: the v3 WebSocket protocol over a book of its own, with faults on demand."""
