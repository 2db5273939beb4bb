"""The checker is checked: bugs planted on purpose, each of which the invariants must find within a few seeds."""
