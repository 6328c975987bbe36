"""Work in a studio: its agent, its environment, and those who share it."""
