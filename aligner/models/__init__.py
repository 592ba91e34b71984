"""Acoustic models, which score the frames of a recording."""
