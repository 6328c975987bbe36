"""Set-up: packages and commands are installed when steps run, and studios are kept on request."""

import json
import sys
from pathlib import Path

import pytest
from tests.support.runner import Runner

from lightning_native.engine.plan import Installer, Setup, StepPlan
from lightning_native.engine.planning.layout import merged_setup
from lightning_native.errors import PlanError
from lightning_native.lightning.session import connect
from lightning_native.placement import PlacementName


def shell(name: str, script: str, **options: object) -> StepPlan:
    return StepPlan(name, ("sh", "-c", script), **options)


def fake_apt(folder: Path) -> str:
    """Write commands of apt that only record their arguments, and return a PATH with them."""
    folder.mkdir()
    for name, script in (("apt-get", f'echo "$@" >>{folder}/asked'), ("dpkg-query", "exit 1"), ("sudo", '"$@"')):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return f"{folder}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"


@pytest.mark.parametrize("placement", ["studio", "job"])
def test_packages_installer_arguments_commands_and_variables(
    runner: Runner, tmp_path: Path, placement: PlacementName
) -> None:
    setup = Setup(
        packages=("tree", "it's"),
        installer="pip",
        installer_arguments=("--no-deps", "--no-index"),
        commands=(f'echo "$WHO" >>{runner.results}/who; test -f code.txt',),
        variables=("WHO", "PATH"),
    )
    (runner.code / "code.txt").touch()
    folder = runner.make(
        placement,
        shell("use", "true", setup=setup, requirements=(("r.txt", "packaging\n"),)),
        variables={"use": {"WHO": "it's me", "PATH": fake_apt(tmp_path / "bin"), "OTHER": "x"}},
        reuse_environments=False,
        tags=("first", "second"),
    )
    assert runner.drive(folder) == 0, folder.path
    asked = (tmp_path / "bin" / "asked").read_text().splitlines()
    assert asked[0] == "update"
    assert asked[1].endswith("tree it's")
    assert (runner.results / "who").read_text() == "it's me\n"
    log = next((folder.path / "logs").glob("setup-*")).read_text()
    assert "+ echo" in log


SEE = "import lightning_native as n; from importlib.metadata import distribution as d; print(n.__file__); "
SEE += "print(d('lightning-native').read_text('direct_url.json'))"


@pytest.mark.spread(5)
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_our_own_wheel_is_installed_into_the_environment_without_an_index(
    runner: Runner, tmp_path: Path, installer: Installer
) -> None:
    (tmp_path / "see.py").write_text(SEE)
    setup = Setup(installer=installer, installer_arguments=("--no-index",))
    step = shell("see", f"python {tmp_path / 'see.py'} >{runner.results}/seen", setup=setup)
    folder = runner.make("studio", step, own_extra="emulator")
    assert runner.drive(folder) == 0, (folder.path, *(folder.path / "logs").iterdir())
    package, origin = (runner.results / "seen").read_text().splitlines()
    assert package.endswith("/site-packages/lightning_native/__init__.py")
    assert not Path(package).is_relative_to(Path(__file__).parents[3])
    assert json.loads(origin)["url"].startswith("file://")
    assert "/.lightning-native/wheels/" in origin
    assert not list(folder.path.glob("*.whl"))


@pytest.mark.spread(5)
def test_a_wheel_that_did_not_arrive_intact_is_not_installed(runner: Runner) -> None:
    folder = runner.make("studio", shell("never", f"touch {runner.results}/never"), own_extra="emulator")
    (wheel,) = folder.path.glob("*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"x")
    assert runner.drive(folder) == 1
    assert not (runner.results / "never").exists()
    (log,) = (folder.path / "logs").glob("setup-*")
    assert "did not arrive intact" in log.read_text()


def test_a_studio_in_which_a_step_failed_is_kept_when_asked(runner: Runner) -> None:
    folder = runner.make(
        "studio", shell("bad", "exit 3"), shell("good", "true", machines=("L4",)), keep_studios="on_failure"
    )
    assert runner.drive(folder) == 1
    cloud = connect()
    (kept,) = [name for name in cloud.studio_names() if name.startswith("engine-test")]
    studio = cloud.find_studio(kept)
    assert studio is not None
    assert not studio.is_running()
    studio.release(delete=True)


def test_steps_of_one_studio_agree_on_an_installer() -> None:
    steps = [shell("a", "true", setup=Setup(packages=("x",))), shell("b", "true", setup=Setup(packages=("x", "y")))]
    assert merged_setup(steps).packages == ("x", "y")
    with pytest.raises(PlanError, match="by pip and by uv"):
        merged_setup([*steps, shell("c", "true", setup=Setup(installer="pip"))])
