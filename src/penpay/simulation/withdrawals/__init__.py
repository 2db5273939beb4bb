"""Withdrawals in the simulated world: who asks for them, who forges their Results, who decides, and what must hold."""
