"""Examples of what stands before or behind the archive."""
