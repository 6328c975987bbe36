"""Jobs in container images."""

from lightning_native.conformance.check import Outcome, Topic, holds
from lightning_native.conformance.experiment import Seen
from lightning_native.conformance.experiments.others import IMAGE

TOPIC = Topic("Images")
_KNOWN = ("LIGHTNING_CLOUD_URL", "LIGHTNING_CLOUD_PROJECT_ID", "LIGHTNING_USERNAME")


@TOPIC.check(IMAGE, "completed")
def image_job_runs_in_a_shell(seen: Seen) -> Outcome:
    """Without an entrypoint, a shell runs the command of a job in an image."""
    return holds(seen["moments"][-1].record.state == "completed", seen["moments"][-1].record.message)


@TOPIC.check(IMAGE, "LIGHTNING_API_KEY is not set")
def image_job_has_no_key(seen: Seen) -> Outcome:
    """A job in an image has no credentials."""
    return holds("LIGHTNING_API_KEY" not in seen["facts"]["names"])


@TOPIC.check(IMAGE, f"{', '.join(_KNOWN)} are set")
def image_job_knows_its_account(seen: Seen) -> Outcome:
    """A job in an image knows its user, teamspace and cloud."""
    missing = [name for name in _KNOWN if name not in seen["facts"]["names"]]
    return holds(not missing, f"not set: {', '.join(missing)}" if missing else "all set")


@TOPIC.check(IMAGE, "the variable of the submission")
def image_job_has_given_variables(seen: Seen) -> Outcome:
    """A job in an image has the variables of its submission."""
    return holds(seen["facts"]["values"].get("CONFORMANCE_GIVEN") == "yes")


@TOPIC.check(IMAGE, "the file that was uploaded before the submission")
def image_job_mounts_the_drive(seen: Seen) -> Outcome:
    """A folder of the drive is mounted in a container, with what was uploaded to it just before."""
    return holds(seen["mounted"])


@TOPIC.check(IMAGE, "no folder")
def image_job_keeps_no_artifacts(seen: Seen) -> Outcome:
    """A job in an image keeps no artifacts by itself."""
    return holds(not seen["keeps_artifacts"])
