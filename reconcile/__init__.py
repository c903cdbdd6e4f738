"""A DICOM archive back-end that decides, explains and remembers identity."""

__version__ = "0.1.0"
