"""TRANSLATE. Bytes and data sets to facts and back; pure, no I/O of its own."""
