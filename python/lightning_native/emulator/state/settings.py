"""The settings of a local cloud."""

from dataclasses import dataclass, field

from lightning_native.emulator.state.profile import QUICK, Profile
from lightning_native.emulator.state.reported import ReportedMachine


@dataclass
class Settings:
    """The settings of a local cloud; all durations in simulated seconds.

    Attributes:
        boot_seconds: from the request for a studio's machine until it runs.
        job_start_seconds: from the submission of a job until its command runs.
        machine_seconds: other durations than these two for single machines, by slug.
        clock_rate: simulated seconds for each real second.
        strip_home_prefix: whether an upload to `/teamspace/studios/this_studio/X` goes to `X`, as older SDKs sent it.
        namespaces: whether code finds its files at `/teamspace/studios/this_studio`, where the kernel allows it.
        upload_limit: the largest file that is accepted, in bytes.
        strict: whether machines know nothing about this computer.
        python: the version of their Python, such as 3.12, in strict mode; the platform's when None.
        index: whether they reach the package index, in strict mode.
        preinstalled: the requirements of what they have, in strict mode; what the platform has when None.
        profile: how much of the platform's behaviour over time it models.
        machines: the price lists of cloud accounts that have others than the local cloud's own.

    """

    boot_seconds: float = 0.0
    job_start_seconds: float = 0.0
    machine_seconds: dict[str, float] = field(default_factory=dict)
    clock_rate: float = 1.0
    strip_home_prefix: bool = False
    namespaces: bool = True
    upload_limit: int = 50 * 1024**3
    strict: bool = False
    python: str | None = None
    index: bool = True
    preinstalled: tuple[str, ...] | None = None
    profile: Profile = QUICK
    machines: tuple[ReportedMachine, ...] = ()

    def boot_seconds_of(self, machine: str) -> float:
        """Return the boot time of a studio's machine."""
        return self.machine_seconds.get(machine, self.boot_seconds)

    def job_start_seconds_of(self, machine: str) -> float:
        """Return the time that a job waits for its machine."""
        return self.machine_seconds.get(machine, self.job_start_seconds)
