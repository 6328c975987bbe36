"""The profiles of a local cloud: how much of the platform's behaviour over time it models.

Each part has its evidence in docs/platform.md. `quick` models none of them, `platform` all that an account with a plan
and money meets. A part given by itself overrides its profile's value.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any

from lightning_native.errors import EmulatorError


def _part(value: Any, on_platform: Any, help_text: str) -> Any:
    return field(default=value, metadata={"platform": on_platform, "help": help_text})


@dataclass(frozen=True)
class Profile:
    """The parts of the platform's behaviour; durations in simulated seconds, and the defaults are `quick`."""

    # Jobs.
    snapshot_seconds: float = _part(0.0, 11.0, "how long a job's snapshot of its studio takes; a job waits for it")
    snapshot_files_per_second: float = _part(0.0, 100.0, "how many files a snapshot copies in a second; 0: no limit")
    provision_seconds: float = _part(0.0, 28.0, "how long a job's machine is made ready, which is billed")
    platform_lines: bool = _part(False, True, "whether a job's log begins with lines of the platform")
    save_seconds: float = _part(0.0, 30.0, "how long a job is pending after its command, while its outputs are saved")
    log_seconds: float = _part(0.0, 120.0, "how long after a job's end its log appears")
    steps_by_id: bool = _part(False, True, "whether the jobs of pipelines are found by their ids only")
    # Studios.
    ready_seconds: float = _part(0.0, 80.0, "how long python, pip and uv of a studio that runs refuse to work")
    restore_seconds: float = _part(0.0, 20.0, "how long the start of a studio that runs already goes on")
    switch_refused: bool = _part(False, True, "whether a switch of machines is refused, and happens all the same")
    utf8_output: bool = _part(False, True, "whether a command whose output is not UTF-8 is answered with an error")
    session_seconds: float = _part(
        0.0, 4 * 3600.0, "after which time a studio is restarted, on a plan only one with A100, H100 or H200; 0: never"
    )
    # Machines.
    accounts: bool = _part(False, True, "whether machines differ by cloud account, with the waits of the list")
    missing_gpu_is_cpu: bool = _part(False, True, "whether a studio gets a CPU if its cloud account lacks the GPU")
    max_studios: int = _part(0, 0, "how many studios may run at once; 0: any number")
    max_gpus: int = _part(0, 0, "how many GPUs may run at once; 0: any number")
    # Money.
    balance: float = _part(float("inf"), float("inf"), "the dollars of the account, which its work spends")
    settle_seconds: float = _part(0.0, 180.0, "how long after its end the reported cost of a job still grows")
    # Requests.
    submissions_per_minute: int = _part(0, 60, "how many jobs may be submitted in a minute; 0: any number")
    # Files.
    mount_seconds: float = _part(0.0, 60.0, "after which time running machines see a new folder of the drive")
    read_only_drive: bool = _part(False, True, "whether jobs cannot write to /teamspace/jobs and /teamspace/uploads")


PARTS = fields(Profile)
QUICK = Profile()
PLATFORM = Profile(**{part.name: part.metadata["platform"] for part in PARTS})
# The limits of an account without a plan.
FREE_PLAN = replace(PLATFORM, max_studios=1, max_gpus=2)
PROFILES = {"quick": QUICK, "platform": PLATFORM, "free-plan": FREE_PLAN}


def profile_of(name: str, parts: dict[str, Any]) -> Profile:
    """Return a profile by its name, with some parts of its own.

    Raises:
        EmulatorError: there is no such profile, no such part, or a value is no number of the part's kind.
    """
    if name not in PROFILES:
        raise EmulatorError(f"{name!r} is no profile; there are {', '.join(PROFILES)}")
    kinds = {part.name: part.type for part in PARTS}
    for part, value in parts.items():
        if part not in kinds:
            raise EmulatorError(f"{part!r} is no part of a profile; there are {', '.join(kinds)}")
        if kinds[part] is bool and not isinstance(value, bool):
            raise EmulatorError(f"part {part!r} is true or false, not {value!r:.50}")
        if not isinstance(value, int | float) or not value >= 0:
            raise EmulatorError(f"part {part!r} is a number of at least 0, not {value!r:.50}")
    return replace(PROFILES[name], **parts)


def option_of(part: str) -> str:
    """Return the command's option for a part."""
    return f"--{part.replace('_', '-')}"


def profile_arguments(name: str, parts: dict[str, Any]) -> list[str]:
    """Return the command's options for a profile and parts of one's own."""
    profile_of(name, parts)
    values = {part: str(value).lower() if isinstance(value, bool) else f"{value:g}" for part, value in parts.items()}
    return [f"--profile={name}", *(f"{option_of(part)}={value}" for part, value in values.items())]
