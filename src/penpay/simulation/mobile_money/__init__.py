"""The mobile-money operator in the simulated world: an installation of its own, its customers, and what must hold."""
