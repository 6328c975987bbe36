"""Archives of source trees, studio names, requirements and DAG scheduling, on a Rust core.

The import needs neither zenml nor lightning-sdk. The native module is loaded on the first use of one of its names,
because a machine that runs steps has the Python part alone.
"""

import os
import sys


def _leave_working_folder() -> None:
    """Remove the working folder from the path of `python -m lightning_native…`, because its modules are not ours.

    Python puts it first. This runs before any import of ours; `os` and `sys` are loaded already.
    """
    started = sys.argv[:1] == ["-m"] and "lightning_native" in {word.partition(".")[0] for word in sys.orig_argv}
    try:
        if started and sys.path[:1] in ([""], [os.getcwd()]):  # noqa: PTH109  pathlib is not loaded yet
            del sys.path[0]
    except FileNotFoundError:
        # The folder is deleted, and Python has not put it on the path.
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
    __version__: str
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
        """Return an object of the native module by its name, or the version, and keep it in this module."""
        if name == "__version__":
            from importlib.metadata import version

            globals()[name] = version("lightning-native")
            return globals()[name]
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(_native_module(name), name)
        return value


del TYPE_CHECKING


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _native_module(name: str) -> object:
    """Import the native module: this package's, or that of a full installation on the machine of a step.

    Raises:
        ImportError: there is none; the message names the remedy.
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
