"""Defaults for choices that the user leaves open."""

# The SDK's name of the machine.
DEFAULT_MACHINE = "CPU"
