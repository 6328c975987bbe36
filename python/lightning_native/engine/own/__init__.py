"""This package itself, as it is sent to machines on which it is not installed."""
