"""Strict machines with the platform's packages and index, and with the SDK, which finds its credentials inside."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.support.servers.strict_cloud import StrictCloud

from lightning_native.emulator import LocalCloud

pytestmark = pytest.mark.strict


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictCloud]:
    with LocalCloud(tmp_path_factory.mktemp("strict"), strict=True) as running:
        yield StrictCloud(running)


@pytest.fixture(scope="module")
def studio(cloud: StrictCloud) -> str:
    return cloud.studio()


def test_packages_are_built_for_numpy_1(cloud: StrictCloud, studio: str) -> None:
    assert cloud.output(studio, "python -c 'import numpy; print(numpy.__version__)'").startswith("1.")
    cloud.output(studio, "python -c 'import scipy.linalg, pandas, sklearn.svm, matplotlib.pyplot'")
    # A newer numpy over the platform's one breaks these packages, as on the platform.
    other = cloud.studio()
    cloud.output(other, "pip install -q --upgrade --no-deps 'numpy>=2.2'")
    assert cloud.run(other, "python -W error -c 'import scipy.linalg, pandas, sklearn.svm'")[0] == 1


def test_installers_reach_the_index(cloud: StrictCloud, studio: str) -> None:
    cloud.output(studio, "pip install -q attrs && uv pip install -q six")
    assert cloud.output(studio, "python -c 'import attrs, six; print(six.__name__)'") == "six"
    job = cloud.submit(
        "pip install -q tomli && python -c 'import tomli, six; print(tomli.__name__)'", cloudspaceId=studio
    )
    assert cloud.log(job).splitlines()[-1] == "tomli"


def test_the_sdk_finds_its_way_inside(cloud: StrictCloud, studio: str) -> None:
    script = """
from lightning_sdk import Job, Studio
studio = Studio()
open("given", "w").write("from within")
studio.upload_file("given", "taken")
job = Job.run(name="from-within", machine="CPU", command="cat taken", studio=studio, reuse_snapshot=False)
job.wait(interval=0.1)
print(studio.run("cat taken"), job.status, str(job.logs))
"""
    written = f"cat > inside.py <<'END'\n{script}\nEND\n"
    answer = cloud.output(studio, f"{written} python -W ignore inside.py 2>/dev/null").splitlines()[-1]
    assert answer == "from within Completed from within"


def test_the_sdk_finds_its_way_from_here(cloud: StrictCloud) -> None:
    script = """
from lightning_sdk import Machine, Studio, Job
studio = Studio("from-here")
studio.start(Machine.CPU)
print(studio.run("id -un"))
job = Job.run(name="from-here", machine="CPU", command="id -un; echo kept > result", studio=studio)
job.wait(interval=0.1)
print(str(job.logs), [entry.path for entry in job.list_artifacts()])
studio.delete()
"""
    environ = {**os.environ, **cloud.cloud.environ}
    argv = [sys.executable, "-W", "ignore", "-c", script]
    result = subprocess.run(argv, check=True, capture_output=True, text=True, env=environ)
    assert result.stdout.split() == ["zeus", "zeus", "['result']"]
