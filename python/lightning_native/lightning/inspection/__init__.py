"""The view of an account and of its records that commands show; the engine needs none of it."""
