"""Runs that make models: training, adapting, teaching."""
