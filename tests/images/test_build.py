"""Images that ZenML builds for a pipeline: by podman, which needs no daemon (make test-images)."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.workbench import Workbench, new_zenml

from lightning_native import extract_archive
from lightning_native.engine.own.package import pack_own_package
from lightning_native.lightning.local import attach

# The wheels of the tested version, which are available to images, although images should not request them.
WHEELS = Path(__file__).parents[2] / ".images"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BASE = "localhost/base:1"
CONTAINERFILE = """
FROM scratch
ADD system /
COPY wheels /opt/wheels/
ENV PIP_FIND_LINKS=/opt/wheels UV_FIND_LINKS=/opt/wheels UV_SYSTEM_PYTHON=1
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
"""
PIPELINE = f"""
from zenml import pipeline, step
from zenml.config import DockerSettings

def image(*requirements: str) -> DockerSettings:
    return DockerSettings(parent_image={BASE!r}, requirements=list(requirements))

@step(enable_cache=False, settings={{"docker": image("six", "attrs")}})
def one() -> str:
    import helper
    return helper.ANSWER

@step(enable_cache=False)
def two(x: str) -> str:
    return x.upper()

@pipeline(settings={{"docker": image("six"), "orchestrator": {{"packaging": "image"}}}})
def built() -> None:
    two(one())

if __name__ == "__main__":
    run = built()
    print("RESULT", run.steps["two"].output.load())
    print("IMAGES", sorted(run.run_metadata["images"].items()))
"""

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("podman", "debootstrap"))) or not WHEELS.is_dir(), reason="run make test-images"
)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give podman a folder of its own, and build the base image of the others."""
    storage = tmp_path / "storage.conf"
    storage.write_text(f'[storage]\ndriver = "overlay"\nrunroot = "{tmp_path}/run"\ngraphroot = "{tmp_path}/graph"\n')
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
    # The isolation that also works where users may not create containers.
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")
    context = tmp_path / "base"
    system = context / "system"
    packages = "python3,python3-pip,python3-venv,python-is-python3,ca-certificates"
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(system)], check=True)
    # Debian's pip would install nothing beside Debian's own packages.
    for managed in system.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        managed.unlink()
    shutil.copyfile(CERTIFICATES, system / CERTIFICATES.relative_to("/"))
    shutil.copytree(WHEELS, context / "wheels")
    build(context, BASE, CONTAINERFILE)
    yield tmp_path
    subprocess.run(["podman", "rmi", "--all", "--force"], check=True, capture_output=True)


def build(context: Path, name: str, containerfile: str) -> str:
    context.mkdir(exist_ok=True)
    (context / "Containerfile").write_text(containerfile)
    command = ["podman", "build", "--no-cache", "--tag", name, str(context)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.timeout(1800)
def test_zenml_builds_the_images_that_steps_run_in(engine: Path) -> None:
    folder = engine / "user"
    code = folder / "code"
    code.mkdir(parents=True)
    local = new_zenml(folder)
    with attach(folder / "home" / "cloud") as cloud:
        workbench = Workbench(local, cloud, code)
        workbench.write("helper.py", "ANSWER = 'from the code'\n")
        status, output = workbench.run(PIPELINE)
        assert status == 0, output
        assert "RESULT FROM THE CODE" in output
        images = {"one": "zenml:built-one-orchestrator", "two": "zenml:built-orchestrator"}
        assert f"IMAGES {sorted(images.items())}" in output
        workbench.assert_nothing_left()
    # Because the local cloud runs no containers, the requirements of a step's image are checked here.
    imports = "import six, attr, zenml, lightning_native.zenml.step_process.entrypoints; print('ALL THERE')"
    (engine / "check").mkdir()
    package = pack_own_package(engine / "package.tar.gz")
    extract_archive(package.archive, engine / "check" / "package")
    check = f"""
FROM localhost/{images["one"]}
RUN ! python -c "import lightning_native" 2> /dev/null
# As the agent brings it to the container.
COPY package /tmp/package/
ENV PYTHONPATH=/tmp/package
RUN python -c "{imports}"
RUN python -m lightning_native.zenml.step_process.bootstrap --help
"""
    shown = build(engine / "check", "localhost/check:1", check)
    assert "ALL THERE" in shown
    assert "--entrypoint_config_source" in shown
