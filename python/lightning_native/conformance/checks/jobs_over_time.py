"""Jobs from their submission to their end: states, logs, exit codes."""

from lightning_native.conformance.check import Outcome, Topic, holds, not_checkable
from lightning_native.conformance.experiment import Seen
from lightning_native.conformance.experiments.common import WAITING, Moment, states
from lightning_native.conformance.experiments.jobs import ENDS, JOB

TOPIC = Topic("Jobs over time")
# Raw states of a job whose outputs are being saved.
_SAVING = ("pending", "complete", "fail", "stopping")


def _after_running(moments: list[Moment]) -> list[Moment]:
    number = next((number for number, each in enumerate(moments) if each.record.state == "running"), len(moments))
    return moments[number + 1 :]


@TOPIC.check(JOB, "pending or creating at first")
def job_waits_for_its_machine(seen: Seen) -> Outcome:
    """A job is pending until its machine is there."""
    return holds(seen["moments"][0].record.state in WAITING, states(seen["moments"]))


@TOPIC.check(JOB, "an error that says so")
def pending_job_has_no_log(seen: Seen) -> Outcome:
    """The log of a job that waits for its machine is refused."""
    return holds(seen["log_while_pending"], seen["log_while_pending"] or "the log was given")


@TOPIC.check(JOB, "pending or another state between running and the end")
def job_pending_while_saving(seen: Seen) -> Outcome:
    """After its command a job is not at its end yet: it is pending, or ending, while its outputs are saved."""
    between = [moment for moment in _after_running(seen["moments"]) if moment.record.state in _SAVING]
    if not any(moment.record.state == "running" for moment in seen["moments"]):
        return not_checkable(f"no poll has seen it run: {states(seen['moments'])}")
    seconds = seen["moments"][-1].at - between[0].at if between else 0.0
    return holds(between, f"{states(seen['moments'])}; {seconds:.0f} s of saving", save_seconds=round(seconds, 1))


@TOPIC.check(JOB, "pending again, and not another state, after running")
def saving_job_is_pending(seen: Seen) -> Outcome:
    """While its outputs are saved, a job is called pending, as one that waits for a machine."""
    between = [moment.record.state for moment in _after_running(seen["moments"])]
    if not between:
        return not_checkable(f"no poll has seen it run: {states(seen['moments'])}")
    return holds("pending" in between, states(seen["moments"]))


@TOPIC.check(JOB, "completed")
def exit_code_0_is_completed(seen: Seen) -> Outcome:
    """A job whose command ends with 0 ends as completed."""
    return holds(seen["moments"][-1].record.state == "completed", states(seen["moments"]))


@TOPIC.check(ENDS, "failed")
def other_exit_code_is_failed(seen: Seen) -> Outcome:
    """A job whose command ends with another exit code ends as failed."""
    return holds(seen["failed"][-1].record.state == "failed", states(seen["failed"]))


@TOPIC.check(ENDS, "stopped")
def stopped_by_hand_is_stopped(seen: Seen) -> Outcome:
    """A job that is stopped while it runs ends as stopped."""
    return holds(seen["stopped"][-1].record.state == "stopped", states(seen["stopped"]))


@TOPIC.check(ENDS, "no words about money or the machine")
def stop_by_hand_has_its_own_message(seen: Seen) -> Outcome:
    """The message of a job that a person stopped is not that of one without money or machine."""
    message = seen["stopped"][-1].record.message
    wrong = any(word in message.lower() for word in ("funds", "balance", "preempt", "interrupt"))
    return holds(not wrong, message or "no message")


@TOPIC.check(ENDS, "the line after the failing one is not run")
def first_failing_command_ends_the_job(seen: Seen) -> Outcome:
    """The command of a job runs in a shell that ends with the first command that fails."""
    log = seen["failed_log"]
    if not log:
        return not_checkable("the log did not appear")
    return holds("-begun" in log and "-unreachable" not in log, f"{len(log.splitlines())} lines")


@TOPIC.check(ENDS, "one attempt, and no restart")
def failed_job_is_not_run_again(seen: Seen) -> Outcome:
    """Without a number of attempts, a job that fails is not run again by the platform."""
    if not seen["failed_log"]:
        return not_checkable("the log did not appear")
    attempts = seen["failed_log"].count("-begun")
    return holds(attempts == 1 and seen["restarts"] == 0, f"{attempts} attempts, {seen['restarts']} restarts")


@TOPIC.check(ENDS, "lines while the job runs")
def running_job_shows_its_log(seen: Seen) -> Outcome:
    """The log of a job shows its lines while it runs."""
    return holds(seen["running_log"])


@TOPIC.check(JOB, "later than the end")
def log_of_ended_job_is_late(seen: Seen) -> Outcome:
    """The log of a job that has ended appears later than its end."""
    seconds = seen["log_seconds"]
    return holds(seconds > 0, f"{seconds:.0f} s after the end", log_seconds=round(seconds, 1))


@TOPIC.check(JOB, "the first line and the last one")
def log_of_ended_job_is_whole(seen: Seen) -> Outcome:
    """The log of a job that has ended has all of its lines, once it is there."""
    whole = "-begins" in seen["log"] and "facts" in seen
    return holds(whole, f"{len(seen['log'].splitlines())} lines")


@TOPIC.check(JOB, "each line has its time")
def log_has_times(seen: Seen) -> Outcome:
    """The lines of a log have their times on demand."""
    lines = [line for line in seen["timed_log"] if line.strip()]
    return holds(lines and all("20" in line[:6] for line in lines), lines[0] if lines else "no line")


@TOPIC.check(JOB, "lines before the command's own")
def log_begins_with_the_platforms_lines(seen: Seen) -> Outcome:
    """A job's log begins with lines of the platform, which the command did not print."""
    lines = seen["platform_lines"]
    measured: dict[str, float | bool] = {"platform_lines": bool(lines)}
    if "provision_seconds" in seen:
        measured["provision_seconds"] = seen["provision_seconds"]
    return holds(lines, " | ".join(lines) or "none", **measured)


@TOPIC.check(JOB, "more than the preparation of the machine")
def job_waits_for_its_snapshot(seen: Seen) -> Outcome:
    """A job waits for the snapshot of its studio before its machine is made ready."""
    record = seen["moments"][-1].record
    if record.created is None or record.started is None:
        return not_checkable("the platform does not give both times")
    waited = record.started - record.created
    snapshot = waited - seen["provision_seconds"]
    text = f"ran {waited:.0f} s after its submission, {seen['provision_seconds']:.0f} s of them for the machine"
    return holds(snapshot > 0, text, snapshot_seconds=round(max(0.0, snapshot), 1))
