"""The step's own process: it needs ZenML and the Python part of this package, on Python 3.10 or later, and no more."""
