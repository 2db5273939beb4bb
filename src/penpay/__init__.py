"""PenPay: M-Pesa payments on one immutable double-entry ledger."""
