"""A secret of each kind in ZenML pipelines, however they run: no command line and nothing that stays has one."""

import hashlib
import sys
from collections.abc import Iterator

import pytest
from tests.support.canary import new_canary
from tests.support.servers.zenml_server import serve_zenml
from tests.support.watched_place import WatchedPlace, assert_kept, watched_place

pytestmark = pytest.mark.spread(5)

PIPELINE = """
import hashlib, os, sys
from zenml import pipeline, step
from zenml.client import Client
from zenml.config import DockerSettings
from zenml.config.schedule import Schedule

OPTIONS = {options}
IMAGE = DockerSettings(parent_image="registry.example/base:1", skip_build=True)
DOCKER = IMAGE if OPTIONS.get("packaging") == "image" else DockerSettings()
DOCKER = DOCKER.model_copy(update={{"runtime_environment": {{"STEP": os.environ.get("CANARY_STEP", "")}}}})

def digest(name):
    return hashlib.sha256(os.environ[name].encode()).hexdigest()

@step(enable_cache=False, secrets=["vault"])
def good() -> None:
    print("SEEN", digest("PASSWORD"), digest("STEP"))

@step(enable_cache=False)
def bad() -> None:
    raise ValueError("on purpose")

@pipeline(settings={{"orchestrator": OPTIONS, "docker": DOCKER}})
def canaries() -> None:
    good()
    bad(after=["good"])

if __name__ == "__main__":
    Client().create_secret("vault", values={{"PASSWORD": os.environ["CANARY_SECRET"]}})
    try:
        if sys.argv[1:] == ["schedule"]:
            canaries.with_options(schedule=Schedule(name="often", cron_expression="*/5 * * * *"))()
        else:
            canaries()
    finally:
        # What ZenML keeps is ZenML's: everything of ours has to be gone.
        Client().delete_secret("vault")
"""
# A script that waits for an asynchronous run, which continues after the end of its own script.
WAIT = """
import time
from zenml.client import Client

deadline = time.monotonic() + 400
while True:
    run = Client().list_pipeline_runs(sort_by="desc:created", size=1, hydrate=True).items[0]
    if run.status.is_finished:
        break
    assert time.monotonic() < deadline, run.status
    time.sleep(1)
print(run.status, {name: step.exception_info for name, step in run.steps.items()}, run.run_metadata)
"""


@pytest.fixture(scope="module")
def zenml_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedPlace]:
    """A watched place whose user has signed in to a ZenML server."""
    folder = tmp_path_factory.mktemp("place")
    with watched_place(folder, clock_rate=25) as place, serve_zenml(place.environment, folder / "zenml") as user:
        place.environment.update(user)
        yield place


@pytest.mark.parametrize(
    "options",
    [
        {"placement": "studio"},
        {"placement": "job"},
        {"placement": "platform"},
        {"placement": "job", "packaging": "image"},
        {"synchronous": False},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_a_pipeline_keeps_its_secrets(zenml_place: WatchedPlace, options: dict[str, object]) -> None:
    place = zenml_place
    canaries = {kind: new_canary(kind) for kind in ("zenml-secret", "zenml-step-env")}
    script = place.code / "pipeline.py"
    script.write_text(PIPELINE.format(options=repr(options)))
    variables = {"CANARY_SECRET": canaries["zenml-secret"], "CANARY_STEP": canaries["zenml-step-env"]}
    with place.watch(canaries) as watch:
        _, printed = place.run([sys.executable, "pipeline.py"], **variables)
        if options.get("synchronous", True):
            for value in canaries.values():
                assert hashlib.sha256(value.encode()).hexdigest() in printed, printed
        waited, output = place.run([sys.executable, "-c", WAIT], ZENML_CUSTOM_SOURCE_ROOT=str(place.code))
        assert waited == 0, output
        place.wait_until_gone()
        printed += output + place.shown()
    assert_kept(watch, printed)


COMPLETED = """
import time
from zenml.client import Client

deadline = time.monotonic() + 400
while not (runs := Client().list_pipeline_runs(schedule_id=Client().get_schedule("often").id, status="failed").items):
    assert time.monotonic() < deadline
    time.sleep(1)
print("SCHEDULED", len(runs))
Client().delete_schedule("often")
"""


def test_a_schedule_keeps_its_secrets(zenml_place: WatchedPlace) -> None:
    place = zenml_place
    canaries = {kind: new_canary(kind) for kind in ("zenml-secret", "zenml-step-env")}
    (place.code / "pipeline.py").write_text(PIPELINE.format(options="{}"))
    variables = {"CANARY_SECRET": canaries["zenml-secret"], "CANARY_STEP": canaries["zenml-step-env"]}
    with place.watch(canaries) as watch:
        code, printed = place.run([sys.executable, "pipeline.py", "schedule"], **variables)
        assert code == 0, printed
        code, output = place.run([sys.executable, "-c", COMPLETED], ZENML_CUSTOM_SOURCE_ROOT=str(place.code))
        assert "SCHEDULED" in output, output
        place.wait_until_gone()
        printed += output + place.shown()
    assert_kept(watch, printed)
