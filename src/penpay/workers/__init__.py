"""Workers: they find what is due, claim it, do what must be done outside, and record what came of it."""
