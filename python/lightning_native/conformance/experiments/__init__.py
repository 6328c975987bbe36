"""The experiments, one file for each kind of thing that they use."""
