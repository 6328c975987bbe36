"""The start of ZenML's entrypoint, with garbage collection disabled until the user's code is loaded.

This saves half a second a step, because the objects that ZenML creates when it starts last until the end.
"""

import atexit
import gc
import importlib
import logging
import runpy

from lightning_native.zenml.step_process.confirmed_end import leave_step_to_child

MODULE = __name__
_ZENML = "zenml.entrypoints.entrypoint"
_TRACEBACKS = "lightning_native.zenml.step_process.tracebacks"
_LOADED_BY_NAME = ("lightning_native.zenml.step_process.entrypoints", "lightning_native.zenml.flavor")


def enable_gc() -> None:
    """Collect garbage from now on, but not among the objects that exist already."""
    gc.freeze()
    gc.enable()


def _end_logging() -> None:
    """Flush the log handlers while threads can still start, because ZenML's handler flushes in one.

    Python 3.12 refuses new threads at exit, and would print a traceback into the log of every step.
    """
    logging.shutdown()
    atexit.unregister(logging.shutdown)


def load() -> None:
    """Load ZenML, as far as every step needs it."""
    # ZenML would import these with the user's folder first on the path, and a `difflib.py` there instead of Python's.
    for module in _LOADED_BY_NAME:
        importlib.import_module(module)


def run() -> None:
    """Run the entrypoint that the arguments of this process name."""
    # ZenML has set a hook of its own, which shows a hundred frames.
    importlib.import_module(_TRACEBACKS).shorten_tracebacks(logged=True)
    try:
        # In place of this module, because ZenML inspects the main module.
        runpy.run_module(_ZENML, run_name="__main__", alter_sys=True)
    finally:
        _end_logging()


if __name__ == "__main__":
    leave_step_to_child()
    gc.disable()
    load()
    run()
