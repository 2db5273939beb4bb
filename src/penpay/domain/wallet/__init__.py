"""The double-entry ledger: accounts, and the balanced journals that move money between them."""
