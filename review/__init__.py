"""The reviewing desk: cases are opened, queued, claimed and decided."""
