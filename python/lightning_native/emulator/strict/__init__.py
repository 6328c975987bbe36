"""Machines that know nothing of this computer, as the platform's do not."""
