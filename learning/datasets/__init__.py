"""Decided cases as a data set that a network can be trained on."""
