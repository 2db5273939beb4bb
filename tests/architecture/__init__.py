"""Rules about the shape of the program that no off-the-shelf tool knows."""
