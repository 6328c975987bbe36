"""The scheduled retraining runs by itself, keeps the better model, and is paused and deleted by our command."""

import json
from pathlib import Path
from typing import Any

from tests.examples.conftest import User
from tests.support.abroad import wait_until_nothing_runs

from lightning_native.emulator import LocalCloud

# Five minutes pass in ten seconds; the first run is soon there, and the machine has time for it.
RATE = 30
LOOK = """
import json, time
from zenml.client import Client

deadline = time.monotonic() + 400
while not (runs := Client().list_pipeline_runs(pipeline="retraining", status="completed", hydrate=True).items):
    assert time.monotonic() < deadline, Client().list_pipeline_runs(pipeline="retraining").items
    time.sleep(0.5)
champions = Client().list_artifact_versions(artifact="digits_champion").items
first = min(runs, key=lambda run: run.created)
found = {"schedule": first.schedule.name, "scores": first.steps["promote"].outputs["scores"][0].load()}
print("FOUND", json.dumps({**found, "champions": [type(each.load()).__name__ for each in champions]}))
"""


def test_a_schedule_trains_by_itself_until_it_is_paused_and_deleted(zenml_home: dict[str, str], tmp_path: Path) -> None:
    environment = {**zenml_home, "LIGHTNING_NATIVE_HOME": str(tmp_path / "home")}
    # A clock of its own, because other tests share the session's cloud.
    with LocalCloud(tmp_path / "home" / "cloud", clock_rate=RATE) as cloud:
        user = User(environment, dict(cloud.environ), tmp_path)

        def schedules(*arguments: str) -> Any:
            return json.loads(user.command("schedules", *arguments, "--local", "--json"))

        user.run_example("scheduled_retraining/retrain.py", "--cron", "*/5 * * * *", "--timezone", "Europe/Zurich")
        (listed,) = schedules("list")
        name = listed["name"]
        assert name.startswith("nightly-retraining ")
        assert listed == {"name": name, "cron": "*/5 * * * *", "timezone": "Europe/Zurich", "paused": False}

        found = json.loads(user.python(LOOK).split("FOUND ")[1])
        assert found["schedule"] == "nightly-retraining"
        # There was no champion before the first run, so its model has become one.
        assert found["scores"]["challenger"] > 0.9
        assert found["scores"]["champion"] == 0.0
        assert set(found["champions"]) == {"SVC"}
        assert "completed" in [run["state"] for run in schedules("runs", name)]

        # By the name that ZenML has, too.
        assert schedules("pause", "nightly-retraining")["paused"] is True
        assert [each["paused"] for each in schedules("list")] == [True]
        assert schedules("delete", name, "--yes") == {"deleted": [name]}
        assert schedules("list") == []
        wait_until_nothing_runs(user)
        assert user.studios() == []
