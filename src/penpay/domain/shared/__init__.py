"""The shared kernel: money, rates, ids, phone numbers, events and errors."""
