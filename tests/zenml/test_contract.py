"""ZenML's contract for an orchestrator, in few real runs."""

import json
import textwrap

from tests.support.workbench import Workbench

from lightning_native.engine.record.journal import Journal

PIPELINE = """
import os, signal
from pathlib import Path
from zenml import pipeline, step
from zenml.client import Client
from zenml.config import DockerSettings, ResourceSettings
from zenml.config.retry_config import StepRetryConfig

FOLDER = Path(os.environ.get("FOLDER", "."))
docker = DockerSettings(
    environment={"EARLY": "it's \\"early\\" $HOME"},
    runtime_environment={"late": "2"},
    apt_packages=["bash"],
    local_project_install_command="printf '%s' \\"$EARLY\\" >from-setup.txt",
)

@step
def look() -> str:
    return "|".join([os.environ["EARLY"], os.environ["LATE"], Path("from-setup.txt").read_text(), os.environ["OWN"]])

@step(settings={"resources": ResourceSettings(gpu_count=1, gpu_class="l4")})
def on_gpu() -> int:
    return 1

@step(retry=StepRetryConfig(max_retries=2))
def flaky(folder: str) -> int:
    tries = Path(folder) / "tries"
    with tries.open("a") as stream:
        stream.write("x")
    count = len(tries.read_text())
    if count == 1:
        raise ValueError("the first try")
    if count == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return count

@pipeline(settings={"docker": docker, "orchestrator": {"tags": ["a"], "custom_commands": ["echo mine"]}})
def rich(folder: str) -> None:
    look.with_options(environment={"OWN": "step's"})()
    on_gpu()
    flaky(folder)

if __name__ == "__main__":
    rich(os.environ["FOLDER"])
"""

LOOK = """
import json
from zenml.client import Client
from zenml.enums import ExecutionStatus
run = Client().list_pipeline_runs(sort_by="desc:created", size=1, hydrate=True).items[0]
run = Client().get_pipeline_run(run.id)
flaky = Client().list_run_steps(name="flaky", pipeline_run_id=run.id, size=9, hydrate=True).items
print("FACTS", json.dumps({
    "id": str(run.id), "orchestrator_run_id": run.orchestrator_run_id, "status": run.status.value,
    "metadata": {key: str(value) for key, value in run.run_metadata.items()},
    "look": run.steps["look"].output.load(),
    "step_metadata": {name: {k: str(v) for k, v in step.run_metadata.items()} for name, step in run.steps.items()},
    "steps": {name: step.status.value for name, step in run.steps.items()},
    "fetched": [
        str(part) for part in Client().active_stack.orchestrator.fetch_status(
            run.model_copy(update={"body": run.body.model_copy(update={"status": ExecutionStatus.RUNNING})}), True
        )
    ],
    "versions": sorted([step.version, step.status.value] for step in flaky),
}))
"""


def facts(workbench: Workbench) -> dict:
    return json.loads(workbench.python(LOOK).split("FACTS ")[1])


def test_settings_retries_metadata_status_and_a_cached_run(workbench: Workbench) -> None:
    code, output = workbench.run(PIPELINE, FOLDER=str(workbench.folder))
    assert code == 0, output
    seen = facts(workbench)
    assert seen["status"] == "completed"
    early = 'it\'s "early" $HOME'
    assert seen["look"] == f"{early}|2|{early}|step's"
    # The engine followed a failed and a killed attempt with others, each in a process and as a version of its own.
    assert seen["versions"] == [[1, "retried"], [2, "retried"], [3, "completed"]]
    assert (workbench.folder / "tries").read_text() == "xxx"

    # The answers to ZenML about a run whose state it has as running.
    assert seen["fetched"][0] == "completed"
    assert "'on_gpu': <ExecutionStatus.COMPLETED" in seen["fetched"][1]

    with Journal(workbench.journal) as journal:
        record = journal.runs(1)[0]
        steps = {step.name: step for step in journal.steps(record.run_id)}
        runs = len(journal.runs())
    assert steps["on_gpu"].machine == "L4"
    assert steps["flaky"].attempt == 3

    metadata = seen["metadata"]
    assert seen["orchestrator_run_id"] == metadata["orchestrator_run_id"] == record.run_id
    url = metadata["orchestrator_url"]
    assert url.startswith(workbench.cloud_environment["LIGHTNING_CLOUD_URL"] + "/")
    assert url == metadata["orchestrator_logs_url"]
    assert f"/studios/{steps['look'].place}" in metadata["step_urls"]
    assert f"/studios/{steps['on_gpu'].place}" in seen["step_metadata"]["on_gpu"]["orchestrator_url"]
    assert float(metadata["estimated_cost_dollars"]) > 0
    assert len(metadata["code_digest"]) == 64
    assert "on_gpu" in workbench.command(*metadata["logs_command"].split()[1:])
    workbench.assert_nothing_left()

    # All steps are in the cache now, so no run of ours begins, and Lightning receives no request.
    code, output = workbench.run(PIPELINE, FOLDER=str(workbench.folder), LIGHTNING_NATIVE_HOME="/dev/null/nowhere")
    assert code == 0, output
    assert set(facts(workbench)["steps"].values()) == {"cached"}
    with Journal(workbench.journal) as journal:
        assert len(journal.runs()) == runs


def test_wrong_settings_are_refused_before_anything_exists(workbench: Workbench) -> None:
    workbench.write(
        "wrong.py",
        """
        from zenml import pipeline, step
        from zenml.config import DockerSettings, ResourceSettings

        @step(enable_cache=False)
        def only() -> None:
            pass

        def attempt(name, on_step=None, on_pipeline=None):
            @pipeline(name=name, settings=on_pipeline or {})
            def wrong() -> None:
                only.with_options(settings=on_step or {})()
            try:
                wrong()
            except Exception as error:
                print(name.upper(), type(error).__name__, error)

        attempt("placement", {"orchestrator": {"placement": "job"}})
        attempt("image", {"docker": DockerSettings(dockerfile="Dockerfile")})
        attempt("resources", {"resources": ResourceSettings(gpu_count=64)})
        attempt("interruptible", on_pipeline={"orchestrator": {"interruptible": True, "placement": "studio"}})
        attempt("limits", on_pipeline={"orchestrator": {"machine_limits": {"H101": 1}}})
        in_image, ready = {"packaging": "image"}, DockerSettings(parent_image="i:1", skip_build=True)
        attempt("registry", on_pipeline={"orchestrator": {**in_image, "cloud": "lightning"}})
        attempt("commands", on_pipeline={"orchestrator": {**in_image, "custom_commands": ["make"]}, "docker": ready})
        local = DockerSettings(local_project_install_command="pip install .")
        attempt("wheel", on_pipeline={"orchestrator": {"packaging": "wheel"}, "docker": local})
        """,
    )
    with Journal(workbench.journal) as journal:
        before = len(journal.runs())
    output = workbench.python((workbench.folder / "wrong.py").read_text())
    for name, words in {
        "PLACEMENT": "step 'only' sets placement, which is a setting of the whole run; set it on the pipeline",
        "IMAGE": "DockerSettings.dockerfile",
        "RESOURCES": "step 'only': no machine has 64 GPUs",
        "INTERRUPTIBLE": "set placement='job'",
        "LIMITS": "unknown machine 'H101'; did you mean H100",
        "REGISTRY": "stack 'local-cloud' has no container registry; add one: zenml stack update local-cloud -c",
        "COMMANDS": "step 'only': custom_commands prepare studios, and the step runs in an image",
        "WHEEL": "local_project_install_command installs from the source tree",
    }.items():
        assert f"{name} " in output, output
        assert words in output.split(f"{name} ")[1], textwrap.shorten(output, 3000)
    with Journal(workbench.journal) as journal:
        assert len(journal.runs()) == before
    workbench.assert_nothing_left()
