"""A studio from the moment its machine runs: what begins then, what is refused, and what ends by itself."""
