"""Servers that tests run on this computer, and the addresses by which machines reach them."""
