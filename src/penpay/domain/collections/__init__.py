"""A business that is paid through a PayBill: its customers, invoices, sales, payments and what each was used for."""
