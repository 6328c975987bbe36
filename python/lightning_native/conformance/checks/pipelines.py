"""Lightning pipelines and their schedules."""

from lightning_native.conformance.check import Outcome, Topic, holds, not_checkable
from lightning_native.conformance.experiment import Seen
from lightning_native.conformance.experiments.others import PIPELINE

TOPIC = Topic("Pipelines")


@TOPIC.check(PIPELINE, "completed")
def pipeline_starts_by_itself(seen: Seen) -> Outcome:
    """A pipeline runs as soon as it is created, and ends as completed when its steps have."""
    return holds(seen["state"] == "completed", seen["state"] or "it did not end within an hour")


@TOPIC.check(PIPELINE, "the second step waits until the first has completed")
def step_waits_for_those_named(seen: Seen) -> Outcome:
    """A step starts only after the steps that it waits for have completed."""
    order = seen["order"]
    if ("first", "completed") not in order or ("second", "completed") not in order:
        return not_checkable(f"the steps did not complete: {order}")
    begun = [number for number, each in enumerate(order) if each in (("second", "running"), ("second", "completed"))]
    return holds(order.index(("first", "completed")) < begun[0], ", ".join(f"{step} {state}" for step, state in order))


@TOPIC.check(PIPELINE, "an id for each step that finds its job")
def step_has_the_id_of_its_job(seen: Seen) -> Outcome:
    """The status of a step has the id of its job, which finds the job."""
    return holds(set(seen["named_by_id"]) == {"first", "second"}, f"found {len(seen['named_by_id'])} of 2")


@TOPIC.check(PIPELINE, "no job of a step is in the list")
def jobs_of_steps_are_not_listed(seen: Seen) -> Outcome:
    """The jobs of a pipeline's steps are not in the list of jobs."""
    hidden = not seen["listed"]
    return holds(hidden, f"{len(seen['listed'])} are listed", steps_by_id=hidden)


@TOPIC.check(PIPELINE, "lines of the first step")
def step_has_a_log(seen: Seen) -> Outcome:
    """The log of a step's job can be read."""
    return holds(seen["first_log"], f"{len(seen['first_log'].splitlines())} lines")


@TOPIC.check(PIPELINE, "LIGHTNING_PIPELINE_ID is set")
def step_knows_its_pipeline(seen: Seen) -> Outcome:
    """The job of a step knows the id of its pipeline."""
    if not seen["first_log"]:
        return not_checkable("the log did not appear")
    return holds("-knows" in seen["first_log"])


@TOPIC.check(PIPELINE, "the expression and the time zone that were given, not paused")
def schedule_keeps_its_times(seen: Seen) -> Outcome:
    """A schedule has the cron expression and the time zone with which it was created, and is not paused."""
    wanted, *found = seen["cron"]
    return holds(found == [wanted, "Europe/Zurich", False], f"{found[0]} {found[1]}")


@TOPIC.check(PIPELINE, "paused")
def schedule_can_be_paused(seen: Seen) -> Outcome:
    """A schedule can be paused."""
    return holds(seen["paused"] == [True], seen["paused"])


@TOPIC.check(PIPELINE, "no run")
def schedule_creates_no_run_at_once(seen: Seen) -> Outcome:
    """A schedule creates its first run at the first of its times, not when it is created."""
    return holds(seen["runs_of_schedule"] == 0, f"{seen['runs_of_schedule']} runs")


@TOPIC.check(PIPELINE, "neither pipeline nor schedule is found")
def deleted_pipeline_is_gone(seen: Seen) -> Outcome:
    """A deleted pipeline and its deleted schedule are not found any more, and another deletion is a success."""
    return holds(seen["gone"] and not seen["schedules_left"])
