"""The paths we answer, one module a resource."""
