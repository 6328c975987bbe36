"""The Python of the machines, which may differ from that of the computer that submits a run."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from lightning_native.engine.plan import RunPlan
from lightning_native.engine.record.journal import Journal
from lightning_native.lightning.machine_python import is_local, machine_python
from lightning_native.lightning.session import cloud_name

OWN_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Interpreter:
    """The interpreter of a studio's environment: its path there, and its version, such as `3.12.11`."""

    executable: str
    version: str

    @property
    def bin(self) -> str:
        """The folder of its environment's commands."""
        return str(PurePosixPath(self.executable).parent)

    @property
    def python(self) -> str:
        """The version for wheels and pickles, such as `3.12`."""
        return ".".join(self.version.split(".")[:2])


class OtherPython(Exception):  # noqa: N818  not an error: its template studio is created under another name
    """A new studio has another version of Python than its template studio is for; nothing is installed in it."""

    def __init__(self, interpreter: Interpreter) -> None:
        super().__init__(f"the studio has Python {interpreter.version}")
        self.interpreter = interpreter


def expected_python(journal: Journal, cloud_name: str, otherwise: str) -> str:
    """Return the version of Python of a cloud's latest new studio; `otherwise` if none is recorded."""
    return journal.machine_python(cloud_name) or otherwise


def python_difference(plan: RunPlan, machines: str, *, local: bool) -> str:
    """Return a message about the difference between the machines' Python and this process's; empty if there is none.

    Args:
        plan: the run's plan; a step in a container has the Python of its image.
        machines: the version that the machines are expected to have.
        local: whether the machines are those of the local cloud.
    """
    if machines == OWN_PYTHON or all(step.image for step in plan.steps):
        return ""
    there = f", or start the local cloud with: lightning-native emulator --strict --python {OWN_PYTHON}"
    return (
        f"the machines have Python {machines}, and this computer {OWN_PYTHON}: functions and classes that are pickled "
        f"here may not load there, and requirements and wheels are taken for {machines}; to have one version, submit "
        f"with Python {machines} (uv venv --python {machines}){there if local else ''}"
    )


def difference_at_submission(plan: RunPlan, environ: Mapping[str, str]) -> str:
    """Return the message of `python_difference` for a run that is about to be driven.

    Args:
        plan: the run's plan.
        environ: the variables of its controller, which name the cloud.

    Raises:
        UsageError: a variable names a version of Python that cannot exist.
    """
    with Journal() as journal:
        machines = expected_python(journal, cloud_name(environ), machine_python(environ))
    return python_difference(plan, machines, local=is_local(environ))
