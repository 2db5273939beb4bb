"""Keys and what they protect: sealed fields, blind indexes, and the signed tokens in callback URLs."""
