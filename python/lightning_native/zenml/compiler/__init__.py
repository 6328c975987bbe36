"""The compiler: a snapshot of ZenML becomes a plan for the engine, without anything being created."""
