"""This package itself, on its way to machines that have nothing of it."""
