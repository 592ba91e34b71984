"""Where all of it meets."""
