"""Archives of source trees, studio names, requirements and DAG scheduling, on a Rust core.

Importing this needs neither zenml nor lightning-sdk. The native module is loaded when one of its names is first asked
for, because a machine that runs steps has the Python part alone.
"""

import os
import sys


def _leave_working_folder() -> None:
    """Take the working folder off the path of `python -m lightning_native…`: what is there is not ours.

    It is first there, before anything of ours is imported; `os` and `sys` are there already.
    """
    started = sys.argv[:1] == ["-m"] and "lightning_native" in {word.partition(".")[0] for word in sys.orig_argv}
    try:
        if started and sys.path[:1] in ([""], [os.getcwd()]):  # noqa: PTH109  pathlib is not there yet
            del sys.path[0]
    except FileNotFoundError:
        # The folder is gone, and Python has not put it there.
        return


_leave_working_folder()

__all__ = [
    "ArchiveReport",
    "Conflict",
    "Dag",
    "ExtractReport",
    "MergedRequirements",
    "Scheduler",
    "Selection",
    "create_archive",
    "dedupe_requirements",
    "extract_archive",
    "merge_requirements",
    "sanitize_studio_name",
    "select_files",
    "unique_studio_name",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lightning_native._native import (
        ArchiveReport,
        Conflict,
        Dag,
        ExtractReport,
        MergedRequirements,
        Scheduler,
        Selection,
        create_archive,
        dedupe_requirements,
        extract_archive,
        merge_requirements,
        sanitize_studio_name,
        select_files,
        unique_studio_name,
    )
else:

    def __getattr__(name: str) -> object:
        """Return what the native module has under a name, which is kept from then on."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(_native_module(name), name)
        return value


del TYPE_CHECKING


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _native_module(name: str) -> object:
    """Import the native module: of this package, or of one that is installed beside it where steps run.

    Raises:
        ImportError: there is none; the message says how to get one.
    """
    global __path__  # noqa: PLW0603  Python looks for the modules of a package in its own variable
    from importlib import import_module
    from pkgutil import extend_path

    module = f"{__name__}._native"
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
    __path__ = extend_path(__path__, __name__)
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ImportError(
            f"lightning_native.{name} needs the native module, which is not here: steps get the Python part of "
            "lightning-native only. Import it where the step does not, or install lightning-native as a requirement of "
            "the step",
            name=module,
        ) from error
