"""(reference, estimate) -> how good."""
