"""The checks, one file a topic; the name of a function is the id of its check, which reports and the docs know."""

from lightning_native.conformance.check import Check
from lightning_native.conformance.checks import (
    api,
    files,
    images,
    jobs_over_time,
    machines,
    money,
    names,
    pipelines,
    software,
    studios,
    variables,
)

CHECKS: tuple[Check, ...] = tuple(
    check
    for module in (
        api,
        machines,
        money,
        names,
        studios,
        software,
        files,
        variables,
        jobs_over_time,
        images,
        pipelines,
    )
    for check in module.TOPIC.checks
)
