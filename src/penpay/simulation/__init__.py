"""The whole system in one interpreter, under virtual time and one seed, with faults at every await, commit and message.

A seed decides everything: who does what when, which messages are lost, when a process dies. The same seed gives the
same run, byte for byte, so whatever it finds can be looked at again. See docs/simulation.md.
"""
