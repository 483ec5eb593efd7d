"""The pages of the reviewing desk, inside the admin."""
