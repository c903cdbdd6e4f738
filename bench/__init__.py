"""How fast it is: figures with units, and ratios. Nothing here asserts a time."""
