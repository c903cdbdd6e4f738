"""DO. Load facts, decide, keep, record: one module per happening."""
