"""Studios over time, and their commands."""

from lightning_native.conformance.check import Outcome, Topic, holds
from lightning_native.conformance.experiment import Seen
from lightning_native.conformance.experiments.last import END, SWITCH
from lightning_native.conformance.experiments.studio import STUDIO

TOPIC = Topic("Studios")


@TOPIC.check(STUDIO, "no machine")
def new_studio_does_not_run(seen: Seen) -> Outcome:
    """A new studio has no machine, and costs nothing, until it is started."""
    return holds(seen["new_phase"] in ("", "stopped"), seen["new_phase"] or "no machine")


@TOPIC.check(STUDIO, "python refuses to work at first, and works later")
def running_is_not_ready(seen: Seen) -> Outcome:
    """In a studio that runs, python, pip and uv answer for a while that things are still being set up."""
    refused, seconds = seen["refused"], seen["ready_seconds"]
    text = f"ready {seconds:.0f} s after it ran; first answer: {refused[0][0] if refused else seen['python_answer']}"
    return holds(refused, text, ready_seconds=round(seconds, 1) if refused else 0.0)


@TOPIC.check(STUDIO, "sh works while python refuses")
def shell_works_before_python(seen: Seen) -> Outcome:
    """While python refuses to work, sh works already, so that an answer proves nothing."""
    output, code = seen["others_while_refused"]
    return holds((output, code) == ("works", 0), f"{output!r}, exit code {code}")


@TOPIC.check(STUDIO, "start returns without an error, not before the studio runs")
def start_returns_after_restore(seen: Seen) -> Outcome:
    """The SDK's start returns when the files are restored, which is after the machine runs."""
    if not seen["start_returned"] or seen["start_error"]:
        return holds(False, seen["start_error"] or "start did not return within half an hour")
    seconds = seen["restore_seconds"]
    return holds(True, f"start returned {seconds:.0f} s after the machine ran", restore_seconds=round(seconds, 1))


@TOPIC.check(STUDIO, "both streams, and exit code 7")
def command_gives_output_and_exit_code(seen: Seen) -> Outcome:
    """A command gives both of its streams in one text, and its exit code."""
    output, code = seen["exit"]
    return holds((sorted(output.split()), code) == (["err", "out"], 7), f"{output!r}, exit code {code}")


@TOPIC.check(STUDIO, "the home is the working folder")
def command_begins_at_home(seen: Seen) -> Outcome:
    """A command in a studio begins in the home."""
    return holds(seen["facts"]["cwd_is_home"], f"began in {seen['facts']['cwd']}, home {seen['facts']['home']}")


@TOPIC.check(STUDIO, "a file of the detached process appears")
def detached_process_goes_on(seen: Seen) -> Outcome:
    """A process that a command leaves behind goes on after the command, as our agent does."""
    return holds(seen["detached"])


@TOPIC.check(STUDIO, "an error instead of the output")
def output_must_be_utf8(seen: Seen) -> Outcome:
    """A command whose output is not UTF-8 is answered with an error."""
    if "binary_error" in seen:
        return holds(True, seen["binary_error"], utf8_output=True)
    return holds(False, f"the output was {seen['binary_output']}", utf8_output=False)


@TOPIC.check(STUDIO, "a file of on_start.sh appears")
def on_start_script_runs(seen: Seen) -> Outcome:
    """~/.lightning_studio/on_start.sh runs at each start of a studio."""
    return holds(seen["on_start"], "it ran" if seen["on_start"] else "it did not run within two minutes")


@TOPIC.check(STUDIO, "a variable of .studiorc is set")
def studiorc_reaches_commands(seen: Seen) -> Outcome:
    """Commands in a studio have the variables that ~/.lightning_studio/.studiorc exports."""
    return holds("CONFORMANCE_STUDIORC" in seen["facts"]["values"])


@TOPIC.check(SWITCH, "the studio runs on the other machine")
def switch_happens(seen: Seen) -> Outcome:
    """A switch of machines happens, whatever the call for it answers."""
    return holds(seen["switched"], seen["switch_error"] or "the call succeeded")


@TOPIC.check(SWITCH, "the call for the switch fails")
def switch_is_refused_and_happens(seen: Seen) -> Outcome:
    """The call for a switch is answered with an error, and the switch happens all the same."""
    error = seen["switch_error"]
    return holds(error and seen["switched"], error or "the call succeeded", switch_refused=bool(error))


@TOPIC.check(SWITCH, "the files of the home are there")
def switch_keeps_files(seen: Seen) -> Outcome:
    """A studio's home is the same on another machine."""
    return holds(seen["files_after_switch"])


@TOPIC.check(END, "stopped, without a machine")
def stopped_studio_has_no_machine(seen: Seen) -> Outcome:
    """A studio that was stopped has no machine any more, and costs nothing."""
    return holds(seen["stopped"])
