"""The named points at which a process of a run is killed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lightning_native.placement import PlacementName

Role = Literal["client", "controller", "launcher", "supervisor", "hosted", "cloud"]
When = Literal["before", "after"]
# A pattern of the command of each process.
_PROCESSES: dict[Role, str] = {
    "client": r"-m lightning_native run ",
    "controller": r"engine\.process\.controller |lightning_native\.zenml\.controller ",
    "launcher": r"remote_controller\.launch ",
    "supervisor": r"remote_controller\.supervisor ",
    # What drives the run in the supervisor's studio.
    "hosted": r"lightning_native\.zenml\.controller ",
    "cloud": r"lightning_native emulator --root ",
}
_OWN = "lightning_native."


@dataclass(frozen=True)
class Point:
    """The n-th call of a function in one process of a run, before or after it is carried out.

    Attributes:
        role: the process.
        function: the module below `lightning_native`, a colon, and the function or method in it.
        when: whether the process dies before or after the call is carried out.
        number: the number of the call in that process.
        placement: the placement of the run's steps.
    """

    role: Role
    function: str
    when: When
    number: int = 1
    placement: PlacementName = "studio"

    @property
    def name(self) -> str:
        """The point's name, for people and for `pytest -k`."""
        number = f" {self.number}" if self.number > 1 else ""
        return f"{self.role} {self.when} {self.function.split(':')[1]}{number} ({self.placement})"

    def variable(self, marker: Path) -> dict[str, str]:
        """Return the variable by which `sitecustomize` finds the point; `marker` exists once a process has died."""
        module, function = self.function.split(":")
        described = {
            "process": _PROCESSES[self.role],
            "module": _OWN + module,
            "function": function,
            "when": self.when,
            "number": self.number,
            "marker": str(marker),
        }
        return {"KILL_POINT": json.dumps(described)}


def _around(role: Role, function: str, placement: PlacementName = "studio", number: int = 1) -> tuple[Point, Point]:
    return (
        Point(role, function, "before", number, placement),
        Point(role, function, "after", number, placement),
    )


_CLOUD, _STUDIO, _JOB = (
    "lightning.teamspace:LightningCloud",
    "lightning.studios:LightningStudio",
    "lightning.jobs:LightningJob",
)
_JOURNAL, _OF_RUN = "engine.record.journal:Journal", "engine.record.run_journal:RunJournal"
_FOLDER = "engine.record.run_folder:RunFolder"

CLIENT = (
    *_around("client", f"{_JOURNAL}.begin"),
    *_around("client", "engine.record.origin:Origin.write"),
    *_around("client", "engine.record.run_folder:create_archive"),
    *_around("client", f"{_FOLDER}._describe_code"),
    Point("client", "engine.process.controller_process:ControllerProcess.__init__", "before"),
    *_around("client", "engine.process.credentialed:start"),
    Point("client", "engine.process.controller_process:ControllerProcess.wait", "before"),
    Point("client", "engine.display.follow_logs:LogFollower.advance", "after", 2),
    Point("client", "engine.process.controller_process:ControllerProcess._raise_unless_completed", "before"),
)
CONTROLLER = (
    *_around("controller", f"{_FOLDER}.end_submission"),
    *_around("controller", "lightning.session:connect"),
    *_around("controller", f"{_JOURNAL}.drive"),
    *_around("controller", f"{_FOLDER}.variables"),
    *_around("controller", f"{_OF_RUN}.lease"),
    *_around("controller", f"{_CLOUD}.create_studio"),
    *_around("controller", f"{_STUDIO}.start"),
    *_around("controller", "engine.studios.agent_client:Agent.install"),
    *_around("controller", "engine.studios.agent_client:Agent.unpack"),
    *_around("controller", "engine.studios.agent_client:upload_specification"),
    *_around("controller", "engine.studios.agent_client:Agent._start_all"),
    Point("controller", "engine.studios.agent_client:Agent._start_all", "after", 2),
    Point("controller", "engine.studios.agent_client:Agent._poll_all", "before"),
    *_around("controller", f"{_OF_RUN}.step_running"),
    *_around("controller", f"{_OF_RUN}.step_ended"),
    Point("controller", f"{_OF_RUN}.step_ended", "after", 2),
    *_around("controller", f"{_STUDIO}.release"),
    *_around("controller", f"{_FOLDER}.discard_secrets"),
    *_around("controller", f"{_OF_RUN}.end"),
)
CONTROLLER_OF_JOBS = (
    *_around("controller", f"{_CLOUD}.create_studio", "job"),
    *_around("controller", "engine.studios.templates:TemplateStudio._record", "job"),
    *_around("controller", f"{_OF_RUN}.lease", "job"),
    Point("controller", f"{_OF_RUN}.lease", "after", 2, "job"),
    *_around("controller", f"{_CLOUD}.run_job", "job"),
    Point("controller", f"{_CLOUD}.run_job", "after", 2, "job"),
    Point("controller", f"{_JOB}.state", "after", 1, "job"),
    *_around("controller", f"{_OF_RUN}.step_ended", "job"),
    *_around("controller", f"{_JOB}.release", "job"),
    *_around("controller", f"{_OF_RUN}.end", "job"),
)
CONTROLLER_OF_PIPELINES = (
    *_around("controller", f"{_OF_RUN}.lease", "platform"),
    *_around("controller", f"{_CLOUD}.create_pipeline", "platform"),
    Point("controller", "lightning.pipelines:LightningPipeline.status", "after", 2, "platform"),
    *_around("controller", f"{_OF_RUN}.step_ended", "platform"),
    *_around("controller", "lightning.pipelines:LightningPipeline.release", "platform"),
    *_around("controller", f"{_OF_RUN}.end", "platform"),
)
# A launcher hands a run over to a controller in a studio, and dies.
LAUNCHER = (
    *_around("launcher", f"{_JOURNAL}.drive"),
    *_around("launcher", f"{_OF_RUN}.lease"),
    *_around("launcher", f"{_CLOUD}.create_studio"),
    *_around("launcher", f"{_STUDIO}.start"),
    Point("launcher", "engine.studios.agent_client:Agent.install", "after"),
    *_around("launcher", f"{_FOLDER}.upload_inner"),
    *_around("launcher", "engine.studios.agent_client:upload_specification"),
    *_around("launcher", "engine.record.controller_location:ControllerLocation.write"),
    *_around("launcher", f"{_OF_RUN}.released"),
    *_around("launcher", f"{_FOLDER}.discard_secrets"),
)
# The processes of a controller's studio, with nobody else to end the run.
HOSTED = (
    *_around("supervisor", f"{_FOLDER}.adopt_uploaded"),
    Point("supervisor", f"{_FOLDER}.stop_requested", "before"),
    Point("supervisor", f"{_FOLDER}.stop_requested", "before", 20),
    *_around("supervisor", "zenml.publish.publication_lock:wait_for_promise"),
    Point("supervisor", "zenml.remote_controller.log:log_keeper", "after"),
    Point("supervisor", f"{_STUDIO}.release", "before"),
    *_around("hosted", f"{_JOURNAL}.drive"),
    *_around("hosted", f"{_CLOUD}.create_studio"),
    *_around("hosted", "engine.studios.agent_client:Agent._start_all"),
    *_around("hosted", f"{_OF_RUN}.step_ended"),
    *_around("hosted", f"{_STUDIO}.release"),
    *_around("hosted", f"{_FOLDER}.discard_secrets"),
    *_around("hosted", f"{_OF_RUN}.end"),
)
# The computer's power fails: the cloud and all processes of the run die with it.
CLOUD = (
    *_around("cloud", "emulator.services.studios:create"),
    Point("cloud", "emulator.services.studios:boot", "before"),
    Point("cloud", "emulator.services.commands:execute", "before"),
    Point("cloud", "emulator.services.commands:execute", "before", 4),
    Point("cloud", "emulator.services.commands:_finish", "after", 3),
    Point("cloud", "emulator.services.studios:delete", "before"),
)
POINTS = (*CLIENT, *CONTROLLER, *CONTROLLER_OF_JOBS, *CONTROLLER_OF_PIPELINES, *CLOUD)


@dataclass(frozen=True)
class AgentKill:
    """The end of an agent's process by the step that it runs, in the middle of the step.

    Attributes:
        name: for people.
        command: the shell command that kills.
        placement: the placement of the run's steps.
    """

    name: str
    command: str
    placement: PlacementName


AGENT = tuple(
    AgentKill(f"agent {name} ({placement})", command, placement)
    for placement in ("studio", "job")
    for name, command in (
        ("killed by its step", "kill -9 $PPID"),
        ("killed together with its step", "kill -9 $PPID $$"),
        ("stopped for good and killed later", "kill -STOP $PPID; sleep 1; kill -9 $PPID"),
    )
)
