"""The only package that knows `lightning_sdk`, imported lazily because its import reads the variables once."""
