"""Eight steps at the same time through a real ZenML server, with its tokens, as through SQLite."""

from pathlib import Path

import pytest
from tests.support.search import files_with
from tests.support.workbench import Workbench

pytestmark = pytest.mark.spread(5)

PIPELINE = """
import time
from pathlib import Path
from zenml import pipeline, step

@step(enable_cache=False)
def meet(number: int, folder: str) -> int:
    # Ends only when all eight are there at the same time.
    (Path(folder) / str(number)).touch()
    deadline = time.monotonic() + 400
    while len(list(Path(folder).iterdir())) < 8:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return number

@pipeline
def eight(folder: str) -> None:
    for number in range(8):
        meet(number, folder, id=f"meet{number}")

if __name__ == "__main__":
    meeting = Path(__file__).parent / "meeting"
    meeting.mkdir()
    run = eight(str(meeting))
    print("RESULT", sorted(step.output.load() for step in run.steps.values()))
    print("HEARTBEATS", sum(step.latest_heartbeat is not None for step in run.steps.values()))
"""


@pytest.mark.parametrize("store", ["sqlite", "server"])
def test_eight_steps_at_the_same_time(
    store: str, request: pytest.FixtureRequest, zenml_home: tuple[dict[str, str], dict[str, str]], tmp_path: Path
) -> None:
    environment = zenml_home[0] if store == "sqlite" else request.getfixturevalue("server")
    workbench = Workbench(environment, zenml_home[1], tmp_path / "code")
    code, output = workbench.run(PIPELINE)
    assert code == 0, output
    assert f"RESULT {list(range(8))}" in output
    assert set(workbench.statuses().values()) == {"completed"}
    workbench.assert_nothing_left()
    if store == "server":
        # The heartbeats that the controller checks.
        assert "HEARTBEATS 8" in output
        # No file of ours contains the token with which the steps signed in.
        token = environment["ZENML_STORE_API_TOKEN"]
        assert files_with(token, Path(environment["LIGHTNING_NATIVE_HOME"])) == []
