"""The business itself: rules, states and money, pure and without I/O."""
