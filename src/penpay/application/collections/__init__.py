"""What a business can do with its customers, invoices, sales and payments."""
