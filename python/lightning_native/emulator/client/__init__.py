"""The way into a local cloud from other processes: start one, find it, reach it, stop it."""
