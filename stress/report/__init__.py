"""The report: from what the matrix has kept to tables, plots and conclusions in words."""
