"""The HTTP interface of the mobile-money operator."""
