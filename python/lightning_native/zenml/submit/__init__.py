"""The submission of runs, each kind in a module, and the requests about submitted runs."""
