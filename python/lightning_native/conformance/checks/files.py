"""Files of studios and jobs, snapshots, artifacts, and the drive."""

from lightning_native.conformance.check import Outcome, Topic, holds, not_checkable
from lightning_native.conformance.experiment import Seen
from lightning_native.conformance.experiments.common import OTHER_SOFTWARE, PLATFORM_USER
from lightning_native.conformance.experiments.jobs import ENDS, JOB
from lightning_native.conformance.experiments.last import END
from lightning_native.conformance.experiments.studio import STUDIO

TOPIC = Topic("Files")
_REFUSED = ("errno 30", "errno 13", "errno 1")
# Folders that always exist there.
_FOLDERS = {"studios", "jobs", "uploads", "lightning_storage"}


@TOPIC.check(STUDIO, "the file is there when the studio runs")
def upload_before_start(seen: Seen) -> Outcome:
    """A file that is uploaded to a studio before its first start is there when the studio runs."""
    return holds(seen["upload_before_start"])


@TOPIC.check(STUDIO, "the file is there within two minutes")
def upload_while_running(seen: Seen) -> Outcome:
    """A file that is uploaded to a studio that runs appears there."""
    seconds = seen["upload_seconds"]
    return holds(seconds is not None, f"after {seconds:.0f} s" if seconds is not None else "not within two minutes")


@TOPIC.check(STUDIO, "the file is gone within two minutes")
def removal_while_running(seen: Seen) -> Outcome:
    """A file that is removed by the API is gone from a studio that runs."""
    return holds(seen["removed"])


@TOPIC.check(END, "no error, also for a file that is gone")
def files_of_a_stopped_studio(seen: Seen) -> Outcome:
    """Files of a stopped studio can be uploaded and removed."""
    return holds(seen["files_while_stopped"])


@TOPIC.check(STUDIO, "the same folder")
def home_is_this_studio(seen: Seen) -> Outcome:
    """The home of a studio is /teamspace/studios/this_studio."""
    return holds(seen["facts"]["this_studio"], f"home {seen['facts']['home']}")


@TOPIC.check(STUDIO, "a file of the other studio within two minutes")
def other_studio_is_on_the_drive(seen: Seen) -> Outcome:
    """The files of another studio are at /teamspace/studios/NAME, also if it does not run."""
    seconds = seen["other_seconds"]
    return holds(seconds is not None, f"after {seconds:.0f} s" if seconds is not None else "not within two minutes")


@TOPIC.check(STUDIO, f"{', '.join(sorted(_FOLDERS))}")
def drive_has_its_folders(seen: Seen) -> Outcome:
    """The standard folders exist below /teamspace, whether or not something is in them."""
    folders = set(seen["facts"]["folders"])
    return holds(folders >= _FOLDERS, ", ".join(sorted(folders)) or "no /teamspace")


@TOPIC.check(STUDIO, "a second lock is refused, a rename replaces")
def home_has_locks_and_renames(seen: Seen) -> Outcome:
    """Files in the home of a studio can be locked, and replaced at once, as our agent does."""
    return holds(seen["facts"]["locks"])


@TOPIC.check(STUDIO, "the file is seen within five minutes")
def drive_upload_reaches_a_running_studio(seen: Seen) -> Outcome:
    """A folder of the drive that an upload makes appears in machines that run already, after a while."""
    seconds = seen["drive_seconds"]
    if seconds is None:
        return holds(False, "not within five minutes")
    # A drive that shows it at once has known our connection before.
    measured = {"mount_seconds": round(seconds, 1)} if seconds > 0 else {}
    return holds(True, f"after {seconds:.0f} s", **measured)


@TOPIC.check(STUDIO, "the write is refused")
def storage_root_is_not_writable(seen: Seen) -> Outcome:
    """/teamspace/lightning_storage itself cannot be written, only its connections."""
    found = seen["facts"]["writes"]["lightning_storage"]
    if seen["facts"]["user"] != PLATFORM_USER:
        return not_checkable(OTHER_SOFTWARE)
    return holds(found in _REFUSED, found)


@TOPIC.check(JOB, "a file from before the submission")
def job_has_the_studios_files(seen: Seen) -> Outcome:
    """A job from a studio has the studio's files."""
    return holds("before" in seen["facts"]["files"], ", ".join(seen["facts"]["files"]))


@TOPIC.check(JOB, "a file that was uploaded after the submission was answered")
def snapshot_is_taken_after_the_answer(seen: Seen) -> Outcome:
    """A job's snapshot is not finished when its submission is answered, so no file may be removed then."""
    late = "after" in seen["facts"]["files"]
    return holds(late, "the job has a file from after its submission" if late else "the job lacks that file")


@TOPIC.check(ENDS, "the second job lacks a file that was uploaded between the two")
def jobs_share_a_snapshot(seen: Seen) -> Outcome:
    """Jobs of one process that ask for it share one snapshot, which is that of the first of them."""
    log = seen["running_log"]
    if not log:
        return holds(False, "the job printed nothing")
    return holds("-misses" in log, "it has the files of the first" if "-misses" in log else "it has a later file")


@TOPIC.check(JOB, "a .git folder in the job's files")
def snapshot_keeps_git_folders(seen: Seen) -> Outcome:
    """A job's files have the studio's .git folders."""
    return holds(seen["facts"]["git"])


@TOPIC.check(JOB, "a link in the job's files")
def snapshot_keeps_links(seen: Seen) -> Outcome:
    """A job's files have the studio's symbolic links."""
    return holds(seen["facts"]["link"])


@TOPIC.check(JOB, "the home is the working folder")
def job_begins_at_home(seen: Seen) -> Outcome:
    """A job from a studio begins in its home, which has the path of the studio's."""
    facts = seen["facts"]
    return holds(facts["cwd_is_home"] and facts["this_studio"], f"began in {facts['cwd']}, home {facts['home']}")


@TOPIC.check(JOB, "the studio lacks what the job wrote")
def job_does_not_change_the_studio(seen: Seen) -> Outcome:
    """A job's files are a copy: what it writes is not in the studio."""
    return holds(not seen["studio_changed"])


@TOPIC.check(JOB, "directly below /teamspace/jobs/NAME")
def artifacts_are_below_the_jobs_name(seen: Seen) -> Outcome:
    """The artifacts of a job are directly below /teamspace/jobs/NAME."""
    place = seen["artifact_place"]
    where = {"": "directly below its name", "artifacts": "below artifacts/", None: "not found within ten minutes"}
    return holds(place == "", where[place])


@TOPIC.check(JOB, "a hidden file and one below .cache are among the artifacts")
def artifacts_are_all_that_changed(seen: Seen) -> Outcome:
    """Everything that a job writes below its home becomes an artifact, hidden files and caches included."""
    kept = seen["artifacts"]
    return holds(
        all(kept.values()), ", ".join(f"{name}: {'kept' if yes else 'left out'}" for name, yes in kept.items())
    )


@TOPIC.check(JOB, "the folder is gone within three minutes")
def artifacts_go_with_their_job(seen: Seen) -> Outcome:
    """The deletion of a job deletes its artifacts."""
    return holds(seen["artifacts_gone"])


@TOPIC.check(JOB, "a write to /teamspace/jobs is refused")
def jobs_folder_is_read_only_in_jobs(seen: Seen) -> Outcome:
    """A job cannot write to /teamspace/jobs."""
    found = seen["facts"]["writes"]["jobs"]
    return holds(found in _REFUSED, found, read_only_drive=found in _REFUSED)


@TOPIC.check(JOB, "a write to /teamspace/uploads is refused")
def uploads_are_read_only_in_jobs(seen: Seen) -> Outcome:
    """A job cannot write to /teamspace/uploads."""
    found = seen["facts"]["writes"]["uploads"]
    return holds(found in _REFUSED, found)
