"""The outputs of a run's steps, listed and copied: `lightning-native runs outputs`."""

import json
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lightning_native.engine.record.output_folder import OutputFolder
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.errors import LightningNativeError, PlanError
from lightning_native.terminal import one_line


@dataclass(frozen=True)
class AttemptOutputs:
    """The outputs of one attempt; `attempt` is `2.1` for one that began as the second before the run was resumed."""

    step: str
    attempt: str
    path: Path
    files: int
    bytes: int

    @classmethod
    def of(cls, step: str, attempt: str, path: Path) -> "AttemptOutputs":
        """Count the files of an attempt's folder."""
        statuses = [each.lstat() for each in path.rglob("*")]
        files = [status for status in statuses if not stat.S_ISDIR(status.st_mode)]
        return cls(step, attempt, path, len(files), sum(status.st_size for status in files))

    def line(self) -> str:
        """Return a line for people."""
        return f"{one_line(self.step)}  attempt {self.attempt}  {self.files} files  {self.bytes} bytes  {self.path}"


def outputs_of(folder: RunFolder, steps: Iterable[str]) -> list[AttemptOutputs]:
    """Return the outputs of a run's steps, in their order, the oldest attempt first."""
    return [
        AttemptOutputs.of(step, attempt, path)
        for step in steps
        for attempt, path in OutputFolder(folder.path, step).attempts()
    ]


def show_outputs(
    folder: RunFolder, steps: list[str], step: str | None, *, to: Path | None, attempt: str | None, as_json: bool
) -> int:
    """List the outputs of all steps or of one, or copy those of the newest attempts or of one.

    Raises:
        PlanError: there is no such step, no such attempt, or nothing to copy.
        LightningNativeError: the destination is not empty, or cannot be written.
    """
    run_id = folder.path.name
    if step is not None and step not in steps:
        raise PlanError(f"run {run_id} has no step {step!r}; its steps are {', '.join(steps)}")
    found = outputs_of(folder, [step] if step is not None else steps)
    if attempt is not None:
        found = [each for each in found if each.attempt == attempt]
    if not found and (to is not None or attempt is not None):
        of_attempt = f" of attempt {attempt}" if attempt is not None else ""
        raise PlanError(f"run {run_id} has no outputs{of_attempt}; see: lightning-native runs outputs {run_id[:12]}")
    if to is not None:
        # The last of a step is the newest.
        found = list({each.step: each for each in found}.values())
        found = _copied(found, to, by_step=step is None)
    if as_json:
        shown = [{**vars(each), "path": str(each.path)} for each in found]
        print(json.dumps(shown, indent=1))
    else:
        for each in found:
            print(each.line())
    return 0


def _copied(found: list[AttemptOutputs], to: Path, *, by_step: bool) -> list[AttemptOutputs]:
    """Copy outputs into a folder, those of several steps into one below it each, and return them there."""
    try:
        if to.exists() and any(to.iterdir()):
            raise LightningNativeError(f"{to} is not empty; name a new folder")
        copies = []
        for each in found:
            # The run's own name of the step's folder, because a step may be called anything.
            target = to / each.path.parent.name if by_step else to
            shutil.copytree(each.path, target, symlinks=True, dirs_exist_ok=True)
            copies.append(AttemptOutputs.of(each.step, each.attempt, target))
    except (OSError, shutil.Error) as error:
        raise LightningNativeError(f"the outputs cannot be copied to {to}: {error}") from error
    return copies
