"""M-Pesa as Safaricom's Daraja API speaks it: the port, and which answers mean yes, no or unknown."""
