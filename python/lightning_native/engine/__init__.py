"""Everything between a plan and the machines: what runs where, exactly once, with nothing left over. Knows no ZenML."""
