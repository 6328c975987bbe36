"""Parts that tests of several folders share, imported as `tests.support`."""
