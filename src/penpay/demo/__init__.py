"""The demonstration: everything on one machine, over real sockets, told as it happens."""
