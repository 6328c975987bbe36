"""The limits of an account: how many studios and GPUs may run at once, for how long, and how often it may submit."""

from collections import deque
from typing import Any

from lightning_native.emulator.api_error import ApiError
from lightning_native.emulator.catalog import MACHINES
from lightning_native.emulator.services.jobs.states import PENDING, RESTARTING, RUNNING
from lightning_native.emulator.state.cloud import Cloud
from lightning_native.emulator.state.records import Studio

# Machines whose sessions end on any plan.
_SCARCE = ("A100", "H100", "H200")
_ACTIVE = ("PENDING", "RUNNING")


def check_studio(cloud: Cloud, studio: Studio, machine: str) -> None:
    """Raise unless the plan allows one more studio to run, on this machine."""
    most = cloud.settings.profile.max_studios
    running = sum(_is_active(other.instance) for other in cloud.studios if other is not studio)
    if most and running >= most:
        raise ApiError(
            400, f"your plan allows {_count(int(most), 'active studio')} at a time; stop one, or upgrade your plan"
        )
    check_gpus(cloud, machine, besides=studio)


def check_gpus(cloud: Cloud, machine: str, *, besides: Studio | None = None) -> None:
    """Raise unless the plan allows the GPUs of one more machine; those of one studio do not count."""
    most = cloud.settings.profile.max_gpus
    wanted = _gpus(machine)
    if not most or not wanted:
        return
    instances = (each for other in cloud.studios if other is not besides for each in (other.instance, other.requested))
    used = sum(_gpus(each["machine"]) for each in instances if each is not None and _is_active(each))
    used += sum(_gpus(job.machine) for job in cloud.jobs if job.state in (PENDING, RUNNING, RESTARTING))
    if used + wanted > most:
        allowed = _count(int(most), "GPU")
        raise ApiError(400, f"your plan allows {allowed} at a time, and {used} are in use; upgrade your plan for more")


class Submissions:
    """The times of the last submissions of jobs to one cloud; those of pipelines are Lightning's own."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._times: deque[float] = deque()

    def check(self) -> None:
        """Count a submission; 429 if there were too many in the last minute."""
        most, now = self._cloud.settings.profile.submissions_per_minute, self._cloud.clock.now()
        while self._times and self._times[0] < now - 60:
            self._times.popleft()
        if most and len(self._times) >= most:
            raise ApiError(429, f"too many requests: at most {most:g} jobs a minute; try again later")
        self._times.append(now)


def session_seconds(cloud: Cloud, machine: str) -> float:
    """Return the time after which a studio on a machine is restarted; 0 for never."""
    profile = cloud.settings.profile
    # Without a plan, which limits the studios as well, every session ends.
    return profile.session_seconds if profile.max_studios or MACHINES[machine].family in _SCARCE else 0.0


def _is_active(instance: dict[str, Any] | None) -> bool:
    return instance is not None and str(instance["phase"]).endswith(_ACTIVE)


def _gpus(machine: str) -> int:
    found = MACHINES[machine]
    return found.count if found.is_gpu else 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
