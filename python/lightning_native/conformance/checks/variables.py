"""Environment variables of code in studios and in jobs."""

from lightning_native.conformance.check import Outcome, Topic, holds
from lightning_native.conformance.experiment import Seen
from lightning_native.conformance.experiments.jobs import JOB
from lightning_native.conformance.experiments.others import TWO
from lightning_native.conformance.experiments.studio import STUDIO

TOPIC = Topic("Variables")
_ACCOUNT = ("LIGHTNING_API_KEY", "LIGHTNING_USER_ID", "LIGHTNING_USERNAME", "LIGHTNING_TEAMSPACE")
_PLACE = ("LIGHTNING_CLOUD_URL", "LIGHTNING_CLOUD_PROJECT_ID", "LIGHTNING_CLOUD_SPACE_ID", "LIGHTNING_CLUSTER_ID")
_MACHINES = ("MASTER_ADDR", "MASTER_PORT")


def _have(seen: Seen, *names: str) -> Outcome:
    missing = [name for name in names if name not in seen["facts"]["names"]]
    return holds(not missing, f"not set: {', '.join(missing)}" if missing else "all set")


@TOPIC.check(STUDIO, f"{', '.join((*_ACCOUNT, *_PLACE))} are set")
def studio_knows_its_account(seen: Seen) -> Outcome:
    """Code in a studio has the credentials of its account, and knows its place."""
    return _have(seen, *_ACCOUNT, *_PLACE)


@TOPIC.check(STUDIO, "true in the studio")
def studio_is_interactive(seen: Seen) -> Outcome:
    """LIGHTNING_INTERACTIVE is true in a studio."""
    value = seen["facts"]["values"].get("LIGHTNING_INTERACTIVE")
    return holds(value == "true", value or "not set")


@TOPIC.check(JOB, "not set in the job")
def job_is_not_interactive(seen: Seen) -> Outcome:
    """LIGHTNING_INTERACTIVE is not set in a job."""
    value = seen["facts"]["values"].get("LIGHTNING_INTERACTIVE")
    return holds(value is None, value or "not set")


@TOPIC.check(STUDIO, "LIGHTNING_CLOUDSPACE_HOST and LIGHTNING_CLOUD_PROVIDER are set")
def studio_knows_its_host(seen: Seen) -> Outcome:
    """Code in a studio knows its host and provider, by which programs tell that they are in a studio."""
    return _have(seen, "LIGHTNING_CLOUDSPACE_HOST", "LIGHTNING_CLOUD_PROVIDER")


@TOPIC.check(STUDIO, "not set")
def studio_name_is_no_variable(seen: Seen) -> Outcome:
    """There is no LIGHTNING_CLOUD_SPACE_NAME."""
    return holds("LIGHTNING_CLOUD_SPACE_NAME" not in seen["facts"]["names"])


@TOPIC.check(JOB, f"{', '.join(_ACCOUNT)} are set")
def job_knows_its_account(seen: Seen) -> Outcome:
    """Code in a job from a studio has the credentials of its account."""
    return _have(seen, *_ACCOUNT)


@TOPIC.check(JOB, "LIGHTNING_ARTIFACTS_DIR is the home")
def artifacts_folder_is_home(seen: Seen) -> Outcome:
    """LIGHTNING_ARTIFACTS_DIR in a job is its home."""
    value = seen["facts"]["values"].get("LIGHTNING_ARTIFACTS_DIR")
    return holds(seen["facts"]["artifacts_is_home"], value or "not set")


@TOPIC.check(JOB, "a variable of .studiorc is set")
def studiorc_reaches_jobs(seen: Seen) -> Outcome:
    """A job from a studio has the variables that the studio's .studiorc exports."""
    return holds("CONFORMANCE_STUDIORC" in seen["facts"]["values"])


@TOPIC.check(JOB, "the same version as in the studio")
def job_has_the_studios_python(seen: Seen) -> Outcome:
    """`python` in a job from a studio is the Python of that studio's environment."""
    own, studio = seen["facts"]["python"], seen["studio_python"]
    return holds(own == studio, f"{own} in the job, {studio} in the studio")


@TOPIC.check(TWO, f"{', '.join(_MACHINES)} on both machines")
def machines_know_each_other(seen: Seen) -> Outcome:
    """Each machine of a job knows the first of them."""
    missing = [name for name in _MACHINES if any(name not in facts["names"] for facts in seen["facts"])]
    return holds(not missing, f"not set: {', '.join(missing)}" if missing else "all set")


@TOPIC.check(TWO, "NUM_NODES is 2, NODE_RANK is 0 and 1")
def machines_have_ranks(seen: Seen) -> Outcome:
    """Each machine of a job has a rank of its own, and knows how many there are."""
    values = [facts["values"] for facts in seen["facts"]]
    ranks = sorted(str(each.get("NODE_RANK")) for each in values)
    numbers = {each.get("NUM_NODES") for each in values}
    return holds(ranks == ["0", "1"] and numbers == {"2"}, f"ranks {', '.join(ranks)}")


@TOPIC.check(TWO, "2 on two machines that have one device each")
def world_size_counts_devices(seen: Seen) -> Outcome:
    """WORLD_SIZE is the number of devices of all machines; a machine without a GPU counts as one."""
    found = {str(facts["values"].get("WORLD_SIZE")) for facts in seen["facts"]}
    return holds(found == {"2"}, f"WORLD_SIZE is {', '.join(sorted(found))}")
