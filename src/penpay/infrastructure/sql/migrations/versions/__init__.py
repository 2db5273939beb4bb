"""One module a revision, in the order of its number; a revision that has been released never changes."""
