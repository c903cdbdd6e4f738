"""DECIDE. Standard library only: no I/O, no clock, no randomness, no pydicom."""
