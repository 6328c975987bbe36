"""The execution of a plan: the order of its steps, and the attempts at each."""
