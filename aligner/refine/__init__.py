"""Boundaries after the search, and whether to believe them."""
