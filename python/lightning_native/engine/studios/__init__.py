"""Work in a studio: its agent, its set-up, and the runs that share it."""
