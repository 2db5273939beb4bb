"""Deposits and withdrawals: the transaction, the evidence of money moved outside, and the limits."""
