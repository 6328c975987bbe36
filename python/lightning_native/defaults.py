"""Choices that are made where the user makes none."""

# The SDK's name of the machine.
DEFAULT_MACHINE = "CPU"
