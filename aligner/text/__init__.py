"""Transcript -> pronunciations."""
