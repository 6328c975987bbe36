"""Controllers that live in a studio on Lightning: how one gets there, what it does, and how it is asked."""
