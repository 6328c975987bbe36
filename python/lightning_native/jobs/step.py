"""A runtime in a step: as the step's command, in the folder of its code, or as a call within it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from lightning_native.errors import JobError
from lightning_native.jobs.driver.code import CODE_VARIABLE
from lightning_native.jobs.lightning.program import inline_program
from lightning_native.jobs.lightning.spec import LightningJobSpec
from lightning_native.jobs.lightning.translation import translate
from lightning_native.jobs.runtimes import Runtime, runtime_from_spec
from lightning_native.terminal import show_output

if TYPE_CHECKING:
    from lightning_native.workflow.loader import RuntimeCommand

# The step's job has a name already, and steps' machines lack the native module, which creates names.
_NAME = "step"


def step_command(kind: str, spec: Mapping[str, Any]) -> "RuntimeCommand":
    """Return the command that runs a runtime on one machine, in the folder with the code.

    Args:
        kind: type of the runtime, `script`, `python`, `notebook`, `gitPython` or `pyTorchDistributed`.
        spec: its specification; paths are relative to the folder of the step's code.

    Raises:
        JobError: it cannot run, or cannot run as a step.
    """
    from lightning_native.workflow.loader import RuntimeCommand

    try:
        translated = _translated(runtime_from_spec(kind, spec))
    except (NotImplementedError, AttributeError) as error:
        raise JobError(str(error)) from error
    return RuntimeCommand(
        argv=("python3", *_arguments()),
        env=_variables(translated),
        timeout=translated.time_limit,
        warnings=translated.warnings,
    )


def run_runtime(runtime: Runtime, *, code: Path | str = ".") -> None:
    """Run a runtime in this process's place, as inside of a ZenML step, and print its output.

    Args:
        runtime: the runtime; its time limit is not kept.
        code: the folder to which its paths are relative.

    Raises:
        JobError: it cannot run here, or has failed.
    """
    translated = _translated(runtime)
    with subprocess.Popen(
        [sys.executable, *_arguments()],
        cwd=code,
        env={**os.environ, **_variables(translated)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                # Through Python's stdout, from which ZenML collects a step's log unchanged; a terminal gets it clean.
                if sys.stdout.isatty():
                    show_output(sys.stdout, line)
                else:
                    sys.stdout.write(line)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise JobError(f"the {runtime.kind} runtime ended with exit code {process.returncode}")


def _translated(runtime: Runtime) -> LightningJobSpec:
    translated = translate(runtime, name=_NAME)
    if translated.image is not None:
        raise JobError("a container cannot be a step; run it with: lightning-native job run")
    if translated.num_machines > 1:
        raise JobError("a step runs on one machine; remove replicas, or run it with: lightning-native job run")
    path = PurePosixPath(translated.source or ".")
    if path.is_absolute() or ".." in path.parts or "://" in str(translated.source):
        raise JobError(f"{translated.source} is not in the folder of the code; name a path relative to that folder")
    return translated


def _arguments() -> tuple[str, ...]:
    return ("-u", "-c", inline_program())


def _variables(translated: LightningJobSpec) -> dict[str, str]:
    return {**translated.env, CODE_VARIABLE: "."}
