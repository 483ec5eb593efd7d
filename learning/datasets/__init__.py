"""Exports decided cases as data sets to train a network on."""
