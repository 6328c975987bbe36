"""Starts what ZenML runs in a studio or job, and looks for no garbage until the user's code is there.

What ZenML makes when it starts lasts until the end: looking through it again and again takes half a second.
"""

import atexit
import gc
import importlib
import logging
import runpy

MODULE = __name__
_ZENML = "zenml.entrypoints.entrypoint"
_LOADED_BY_NAME = ("lightning_native.zenml.step_process.entrypoints", "lightning_native.zenml.flavor")


def enable_gc() -> None:
    """Look for garbage from now on, though not in what is there."""
    gc.freeze()
    gc.enable()


def _end_logging() -> None:
    """Write what is still to be logged, while threads can begin: what ZenML brings does it in one.

    Python 3.12 lets none begin at its end, and would print the traceback of that in the log of every step.
    """
    logging.shutdown()
    atexit.unregister(logging.shutdown)


if __name__ == "__main__":
    gc.disable()
    # ZenML would import these with the user's folder first on the path, and a `difflib.py` there instead of Python's.
    for module in _LOADED_BY_NAME:
        importlib.import_module(module)
    try:
        # In the place of this module, as if it had been started itself: ZenML looks at the main module.
        runpy.run_module(_ZENML, run_name="__main__", alter_sys=True)
    finally:
        _end_logging()
