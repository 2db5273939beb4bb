"""The mobile-money operator: its customers, their money rules and the payments pushed to their phones."""
