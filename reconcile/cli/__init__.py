"""SHELL. Puts the parts together."""
