"""Accuracy of an estimate against a reference; every function takes the two in this order."""
