"""A teamspace of Lightning through the SDK."""

import os
import threading
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_native.errors import CloudError
from lightning_native.lightning import pipelines
from lightning_native.lightning.cloud import JobRequest, PipelineRequest
from lightning_native.lightning.copies import came_together, is_name_of_copy
from lightning_native.lightning.errors import cloud_errors, is_gone
from lightning_native.lightning.jobs import DRIVE_CONNECTION, LightningJob, download_from_drive, job_options
from lightning_native.lightning.machine_python import machine_python
from lightning_native.lightning.machines import canonical_machine
from lightning_native.lightning.offers import MachineOffer, best_offer, default_account, fetch_offers
from lightning_native.lightning.sdk.internals import (
    account_balance,
    believe_list,
    drive_client,
    share_log_client,
    share_snapshot,
)
from lightning_native.lightning.sdk.options import fitting_options
from lightning_native.lightning.studios import LightningStudio
from lightning_native.lightning.verified_upload import upload_verified

if TYPE_CHECKING:
    from lightning_sdk import Teamspace

# Set by a local cloud whose clock is not this computer's.
_CLOCK_RATE = "LIGHTNING_NATIVE_CLOCK_RATE"
# Our folder of a teamspace's drive.
_DRIVE = f"lightning_storage/{DRIVE_CONNECTION}"


class LightningCloud:
    """The teamspace that this process's variables name, through the SDK.

    One process serves one cloud, because the SDK reads the variables once per process.
    """

    def __init__(self, teamspace: "Teamspace") -> None:
        self._teamspace = teamspace
        self._offers: list[MachineOffer] | CloudError | None = None
        self._offers_lock = threading.Lock()
        # The search for a studio needs several requests.
        self._known_studios: dict[str, LightningStudio] = {}
        # The caller handles a name that is taken already.
        warnings.filterwarnings("ignore", message="Job name .* was already taken")
        # What a studio came up on is checked after each start.
        warnings.filterwarnings("ignore", message=".* hasn't been vetted by Lightning")
        # The removal of a file that is gone already is a success.
        warnings.filterwarnings("ignore", message="If '.*' is a directory, it may be empty")
        share_log_client()

    @property
    def machine_python(self) -> str:
        """The Python version of new machines, as known before any of them is asked."""
        return machine_python(os.environ)

    def find_studio(self, name: str) -> "LightningStudio | None":
        """Return the studio of this name, whether or not it runs."""
        from lightning_sdk import Studio

        with cloud_errors(f"look for studio {name!r}"):
            try:
                studio = LightningStudio(Studio(name=name, teamspace=self._teamspace, create_ok=False))
                self._known_studios[name] = studio
                return studio
            except ValueError as error:
                if "does not exist" in str(error):
                    self._known_studios.pop(name, None)
                    return None
                raise

    def find_studios(self, name: str) -> list[LightningStudio]:
        """Return the studio of this name, then the copies that requests for it may have created."""
        with cloud_errors(f"look for studios {name!r}"):
            studios = self._teamspace.studios
        named = [studio for studio in studios if studio.name == name]
        created = getattr(named[0]._studio, "created_at", None) if named else None
        copies = [
            studio
            for studio in studios
            if is_name_of_copy(name, studio.name)
            and came_together(created, getattr(studio._studio, "created_at", None))
        ]
        return [LightningStudio(studio) for studio in (*named, *copies)]

    def create_studio(self, name: str, *, ours: bool = True, cloud_account: str | None = None) -> LightningStudio:
        """Return a studio of this name, created if it does not exist; it is not started."""
        from lightning_sdk import Studio

        studio: LightningStudio | None = None
        try:
            with cloud_errors(f"create studio {name!r}"):
                options = fitting_options(Studio.__init__, {"cloud": cloud_account})
                studio = LightningStudio(Studio(name=name, teamspace=self._teamspace, **options))
        except CloudError:
            # The studio may exist all the same, and only the answer was lost.
            if self.find_studio(name) is None:
                raise
        if studio is None or studio.name != name:
            studio = self._first_of(name, studio, ours=ours)
        self._known_studios[name] = studio
        return studio

    def _first_of(self, name: str, last: LightningStudio | None, *, ours: bool) -> LightningStudio:
        """Return the studio of a name that the SDK requested more than once, and delete its copies."""
        found = self.find_studios(name)
        if last is not None and (not found or found[0].name != name):
            # Another user's studio, which is not visible here, has the name.
            return last
        first = self.find_studio(name) or found[0]
        for studio in found[1:]:
            if ours or (last is not None and studio.name == last.name):
                studio.release(delete=True)
        return first

    def studio_names(self) -> list[str]:
        """Return the names of all studios of the teamspace."""
        with cloud_errors("list the studios"):
            return [str(studio.name) for studio in self._teamspace.studios]

    def job_names(self) -> list[str]:
        """Return the names of all jobs of the teamspace."""
        with cloud_errors("list the jobs"):
            return [str(job.name) for job in self._teamspace.jobs]

    def jobs(self) -> list[LightningJob]:
        """Return all jobs of the teamspace, with their present states."""
        with cloud_errors("list the jobs"):
            jobs = self._teamspace.jobs
        for job in jobs:
            believe_list(job)
        return [LightningJob(job) for job in jobs]

    def upload_to_drive(self, path: Path, remote_path: str) -> None:
        """Upload a file to a path in our folder of the teamspace's drive, whose folders containers can mount."""

        def upload() -> None:
            # The first upload creates the folder as a connection of its name, so that jobs can mount it.
            drive_client().upload_file(self._teamspace.id, str(path), f"{_DRIVE}/{remote_path}", progress_bar=False)

        with cloud_errors(f"upload {remote_path} to the drive"):
            upload_verified(path, remote_path, upload, partial(self.download_from_drive, remote_path))

    def download_from_drive(self, remote_path: str, path: Path) -> bool:
        """Download a file of our folder of the drive; return whether there is such a file."""
        with cloud_errors(f"download {remote_path} from the drive"):
            return download_from_drive(self._teamspace.id, f"{_DRIVE}/{remote_path}", path)

    def remove_from_drive(self, remote_path: str) -> None:
        """Remove a folder in our folder of the drive. It is no error if the folder is gone."""
        with cloud_errors(f"remove {remote_path} from the drive"):
            try:
                drive_client().delete_folder(self._teamspace.id, f"{_DRIVE}/{remote_path}")
            except Exception as error:
                if not is_gone(error):
                    raise

    @property
    def default_cloud_account(self) -> str | None:
        """The id of the cloud account on which Lightning creates what names none; None if it is unknown."""
        with cloud_errors("read the teamspace's cloud account"):
            return default_account(self._teamspace)

    def offers(self) -> list[MachineOffer]:
        """Return the price list, as it was when it was first read."""
        with self._offers_lock:
            if self._offers is None:
                try:
                    self._offers = fetch_offers(self._teamspace)
                except CloudError as error:
                    # Asked for again and again, an unreadable list would delay every step.
                    self._offers = error
            if isinstance(self._offers, CloudError):
                raise self._offers
            return self._offers

    @property
    def clock_rate(self) -> float:
        """The seconds that are billed for each second: 1, or the clock rate of a local cloud."""
        return _clock_rate(os.environ.get(_CLOCK_RATE, ""))

    def hourly_cost(
        self, machine: str, cloud_account: str | None = None, *, interruptible: bool = False
    ) -> float | None:
        """Return the cost of a machine in dollars an hour; None if the price list does not have it."""
        name, offers = canonical_machine(machine), self.offers()
        account = cloud_account or self.default_cloud_account
        offer = best_offer(offers, name, interruptible=interruptible, cloud_account=account) or best_offer(
            offers, name, interruptible=interruptible
        )
        return None if offer is None else offer.cost(interruptible=interruptible)

    def balance(self) -> float | None:
        """Return the dollars that are left, as Lightning tells, which is not reliable; None if it does not."""
        with cloud_errors("read the balance"):
            return account_balance(self._teamspace)

    def find_jobs(self, name: str) -> list[LightningJob]:
        """Return the jobs submitted under a name: none, one, or more if a submission was delivered twice."""
        from lightning_sdk import Job

        # The platform names the second of two submissions after the first. Only the list is reliable, because the SDK
        # reports that a job does not exist whenever a status call fails.
        names = [other for other in self.job_names() if other == name or is_name_of_copy(name, other)]
        with cloud_errors(f"look for job {name!r}"):
            return [LightningJob(Job(name=found, teamspace=self._teamspace)) for found in sorted(names)]

    def find_jobs_like(self, prefix: str) -> list[LightningJob]:
        """Return the jobs of any submitter with this name, or with one that begins with it and a dash."""
        from lightning_sdk import Job

        names = [other for other in self.job_names() if other == prefix or other.startswith(f"{prefix}-")]
        with cloud_errors(f"look for job {prefix!r}"):
            return [LightningJob(Job(name=found, teamspace=self._teamspace)) for found in sorted(names)]

    def run_job(self, request: JobRequest) -> LightningJob:
        """Submit a job."""
        from lightning_sdk import Job

        with cloud_errors(f"submit job {request.name!r} on {request.machine}"):
            studio = None
            if request.studio is not None:
                studio = self._known_studios.get(request.studio) or self.find_studio(request.studio)
                if studio is None:
                    raise CloudError(f"there is no studio {request.studio!r} for job {request.name!r} to start from")
            options = fitting_options(Job.run, job_options(request))
            if studio is not None and request.snapshot:
                share_snapshot(studio.sdk_studio, request.snapshot)
            # Named also for a studio's job: where the variables name an account, the SDK refuses studios of others.
            account = studio.cloud_account if studio else request.cloud_account
            options |= fitting_options(Job.run, {"cloud": account}) if account else {}
            job = Job.run(studio=studio.sdk_studio if studio else None, teamspace=self._teamspace, **options)
            return LightningJob(job)

    def find_pipeline(self, name: str) -> pipelines.LightningPipeline | None:
        """Return the newest pipeline of this name."""
        return pipelines.find_pipeline(self._teamspace, name)

    def create_pipeline(self, request: PipelineRequest) -> pipelines.LightningPipeline:
        """Create a pipeline, which begins at once."""
        return pipelines.create_pipeline(self._teamspace, request)

    def schedules(self) -> list[pipelines.LightningSchedule]:
        """Return the schedules of pipelines."""
        return pipelines.list_schedules(self._teamspace)


def _clock_rate(text: str) -> float:
    try:
        rate = float(text or 1.0)
    except ValueError:
        return 1.0
    return rate if 0 < rate < float("inf") else 1.0
