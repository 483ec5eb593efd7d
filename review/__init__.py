"""The reviewing desk: cases open, are queued, claimed and decided."""
