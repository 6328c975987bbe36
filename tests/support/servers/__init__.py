"""Servers that tests run on this computer, and the addresses that machines reach them by."""
