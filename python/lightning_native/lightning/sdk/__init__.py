"""The unmodified SDK: its versions, its options, and every private name of it that we touch."""
