"""Archives of source trees, studio names, requirements and DAG scheduling, on a Rust core.

Importing this needs neither zenml nor lightning-sdk.
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

from lightning_native._native import (  # noqa: E402  the path comes first
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
