"""Deriv over its v3 WebSocket: the adapter behind `DerivDepositGateway`."""
