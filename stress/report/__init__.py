"""The report: tables, plots and conclusions in words, from the results of the matrix."""
