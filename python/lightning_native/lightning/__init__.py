"""The only part that knows `lightning_sdk`, which it imports lazily: importing it reads the environment once."""
