"""A business in the simulated world: its staff, its customers, who pays it and who only says so, and what must hold."""
