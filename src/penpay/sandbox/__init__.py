"""The sandbox: an operator, its Daraja API, a Deriv simulator, a SIM and faults."""
