"""Strict machines, which like the platform's know nothing about this computer."""
