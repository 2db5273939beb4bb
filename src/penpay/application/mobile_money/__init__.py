"""What the mobile-money operator can do: open wallets, issue float, and take payments pushed to phones."""
