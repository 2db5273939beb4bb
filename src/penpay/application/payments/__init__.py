"""Deposits: the saga, the callbacks that move it, the questions we ask, and reading it all."""
