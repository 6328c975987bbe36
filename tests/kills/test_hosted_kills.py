"""A run whose controller is in a studio ends by itself, whichever process there is killed: nobody else would end it."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.killing.points import HOSTED, Point
from tests.support.workbench import Workbench, new_zenml

from lightning_native.lightning.local import attach

SITE = Path(__file__).parents[1] / "support" / "killing" / "site"
LIMIT = 400.0
STATIC = """
import os
from pathlib import Path
from zenml import pipeline, step
from zenml.config import DockerSettings
from lightning_native.zenml.submit import static

VARIABLES = {name: os.environ[name] for name in ("KILL_POINT", "PYTHONPATH", "FOLDER")}

def count(name: str) -> None:
    with open(Path(os.environ["FOLDER"], name), "a") as stream:
        stream.write("x\\n")

@step(enable_cache=False)
def one() -> int:
    count("one")
    return 1

@step(enable_cache=False)
def two(x: int) -> int:
    count("two")
    return x

settings = {"orchestrator": {"synchronous": False}, "docker": DockerSettings(environment=VARIABLES)}

@pipeline(settings=settings)
def killed() -> None:
    two(one())

if __name__ == "__main__":
    # No variables of the user's reach a controller of steps.
    make = static.controller_run
    static.controller_run = lambda *start, **rest: make(*start[:4], {**start[4], **VARIABLES}, *start[5:], **rest)
    killed()
"""
DYNAMIC = STATIC.replace("@pipeline(", "@pipeline(dynamic=True, ").replace("two(one())", "two(one().load())")

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def zenml(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    folder = tmp_path_factory.mktemp("zenml")
    environment = new_zenml(folder)
    with attach(folder / "home" / "cloud") as cloud_environment:
        yield environment, cloud_environment


def is_of_any_pipeline(point: Point) -> bool:
    return point.role == "supervisor" and "adopt_uploaded" not in point.function


CASES = [
    *(pytest.param(point, STATIC, id=point.name) for point in HOSTED),
    *(pytest.param(point, DYNAMIC, id=f"{point.name} dynamic") for point in HOSTED if is_of_any_pipeline(point)),
]


@pytest.mark.spread(len(CASES))
@pytest.mark.parametrize(("point", "script"), CASES)
def test_a_kill_in_the_studio_of_a_controller_changes_nothing_about_the_run(
    point: Point,
    script: str,
    zenml: tuple[dict[str, str], dict[str, str]],
    tmp_path: Path,
    record_property: Record,
    request: pytest.FixtureRequest,
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    bench = Workbench(*zenml, tmp_path)
    marker = tmp_path / "died"
    path = os.pathsep.join([str(SITE), os.environ.get("PYTHONPATH", "")])
    code, output = bench.run(script, FOLDER=str(results), PYTHONPATH=path, **point.variable(marker))
    assert code == 0, output
    deadline = time.monotonic() + LIMIT
    while bench.studios():
        assert time.monotonic() < deadline, bench.statuses()
        time.sleep(1)
    assert marker.exists(), "no process came to the point"
    assert bench.statuses() == {"run": "completed", "one": "completed", "two": "completed"}
    assert {name: (results / name).read_text() for name in ("one", "two")} == {"one": "x\n", "two": "x\n"}
    bench.assert_nothing_left()
    record_property("kill", (request.node.callspec.id, "driven in a studio", "went on by itself"))
