"""What scores frames."""
