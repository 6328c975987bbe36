"""Answers of the API: things that are not there, refusals and their words."""

from lightning_native.conformance.check import Outcome, Topic, holds, not_checkable
from lightning_native.conformance.experiment import Seen
from lightning_native.conformance.experiments.account import ACCOUNT
from lightning_native.conformance.experiments.jobs import JOB
from lightning_native.conformance.experiments.last import END
from lightning_native.conformance.experiments.others import REFUSALS
from lightning_native.errors import OutOfCapacityError

TOPIC = Topic("API")


@TOPIC.check(ACCOUNT, "exactly one teamspace of the owner has the name")
def teamspace_name_is_unique(seen: Seen) -> Outcome:
    """One owner has one teamspace of a name, so that owner and name find it."""
    return holds(seen["namesakes"] == 1, f"{seen['namesakes']} teamspaces of the owner have the name")


@TOPIC.check(ACCOUNT, "HTTP status 404")
def missing_job_is_404(seen: Seen) -> Outcome:
    """A job that does not exist is answered with 404, by which a deletion knows that the job is gone."""
    return holds(seen["missing_job"] == 404, f"status {seen['missing_job']}")


@TOPIC.check(ACCOUNT, "no studio, job or pipeline, and no error")
def missing_things_are_not_found(seen: Seen) -> Outcome:
    """A search for a studio, jobs or a pipeline that do not exist finds nothing, and is no error."""
    found = (seen["missing_studio"], seen["missing_jobs"], seen["missing_pipeline"])
    return holds(not any(found), "found nothing" if not any(found) else "found something")


@TOPIC.check(JOB, "the second deletion is no error")
def job_is_deleted_twice(seen: Seen) -> Outcome:
    """The deletion of a job that is gone is a success."""
    return holds(seen["released_twice"])


@TOPIC.check(END, "the studio is not found any more, and the second deletion is no error")
def studio_is_deleted_twice(seen: Seen) -> Outcome:
    """A deleted studio is not found any more, and another deletion is a success."""
    return holds(seen["gone"] and seen["deleted_twice"])


@TOPIC.check(REFUSALS, "the submission is refused")
def unknown_machine_is_refused(seen: Seen) -> Outcome:
    """A job on a machine that does not exist is refused at once, rather than pending for ever."""
    error = seen["unknown_machine"]
    return holds(error is not None, error or "the job was accepted")


@TOPIC.check(REFUSALS, "the error names the machine, or says that it is not there")
def refusal_has_its_reason(seen: Seen) -> Outcome:
    """The text of a refusal gives the reason, and the SDK lets it through."""
    error = seen["unknown_machine"]
    if error is None:
        return not_checkable("the submission was not refused")
    text = str(error)
    reason = text.partition(": ")[2]
    words = ("nonsense", "machine", "accelerator", "instance", "not found")
    return holds(any(word in reason.lower() for word in words), text)


@TOPIC.check(REFUSALS, "the submission is refused, as a machine that cannot be had here")
def machine_of_another_account_is_refused(seen: Seen) -> Outcome:
    """A job from a studio on a machine that its cloud account lacks is refused, with words about the machine."""
    error = seen["elsewhere"]
    text = f"{seen['missing_machine']}: {error or 'the job was accepted'}"
    return holds(isinstance(error, OutOfCapacityError), text)
