"""Archives of source trees, studio names, requirements and DAG scheduling, on a Rust core.

Importing this needs neither zenml nor lightning-sdk.
"""

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
