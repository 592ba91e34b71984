"""Ways of aligning: what they share, each of them, and which one is chosen."""
