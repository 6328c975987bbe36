"""The client side of a local cloud: starting, finding, reaching and stopping one from another process."""
