"""The statistics of the reviewing desk: counts, estimates, plots and tables."""
