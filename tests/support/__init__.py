"""What tests of every kind lean on."""
