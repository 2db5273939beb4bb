"""M-Pesa over Safaricom's Daraja API: the adapter behind `domain.mpesa.gateway`."""
