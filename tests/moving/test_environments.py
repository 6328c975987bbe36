"""The demo on computers of others: other users, rights, proxies, folders, umasks (make test-moving)."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.moving.conftest import NOBODY, WHEELS

from lightning_native.emulator.host.proxies import PROXIES

PIPELINE = """
import os
import subprocess

from zenml import pipeline, step
from zenml.client import Client


@step(enable_cache=False)
def one(number: float) -> float:
    subprocess.run(["python", "-m", "pip", "--version"], check=True)
    return number


@step(enable_cache=False)
def best(a: float, b: float) -> str:
    return f"score {max(a, b)} in {os.path.expanduser('~')}"


@pipeline
def small() -> None:
    best(one(0.5), one(0.7))


if __name__ == "__main__":
    print(Client().get_pipeline_run(small().id).steps["best"].output.load())
"""
DEAD_PROXY = dict.fromkeys(PROXIES, "http://127.0.0.1:9")
NO_SYS_ADMIN = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None or not WHEELS.is_dir(), reason="as root: make test-moving"
)


@dataclass(frozen=True)
class Place:
    """One way in which a computer differs from the developer's."""

    wrapper: Sequence[str] = ()
    variables: dict[str, str] = field(default_factory=dict)
    home: str | None = "home"
    temporary: str = "tmp"
    umask: int = 0o022
    cwd: str | None = None


PLACES = {
    "ordinary-user": Place(NOBODY),
    "no-sys-admin": Place(NO_SYS_ADMIN),
    "proxy": Place(variables=DEAD_PROXY),
    "blanks": Place(home="h ö m e", temporary="t m p"),
    "umask-077": Place(umask=0o077),
    "umask-000": Place(umask=0),
    "no-home": Place(NOBODY, home=None, cwd="/"),
    "everything": Place(NOBODY, DEAD_PROXY, home="h ö m e", temporary="t m p", umask=0o077, cwd="/"),
}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", PLACES)
def test_the_demo_runs(installed: Path, folder: Path, name: str) -> None:
    place = PLACES[name]
    own = folder / name
    folders = {which: own / which for which in ("home", "h ö m e", "tmp", "t m p")}
    for each in (own, *folders.values()):
        each.mkdir(mode=0o755)
        if place.wrapper == NOBODY:
            os.chown(each, 54321, 54321)
    dropped = ("LIGHTNING_", "ZENML_", "XDG_", "HOME", "TMPDIR", "USER", "LOGNAME", "VIRTUAL_ENV", "PYTHON", "PYTEST")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    environ |= {"PATH": "/usr/local/bin:/usr/bin:/bin", "TMPDIR": str(folders[place.temporary]), **place.variables}
    if place.home:
        environ["HOME"] = str(folders[place.home])
    # The code has a folder of its own, because a run packs the folder, and not every user can read the others in it.
    (folder / "code").mkdir(exist_ok=True)
    script = folder / "code" / "pipeline.py"
    script.write_text(PIPELINE)
    result = subprocess.run(
        [*place.wrapper, installed, "-m", "lightning_native", "demo", "--script", script],
        cwd=place.cwd or folders["home"],
        env=environ,
        umask=place.umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    lines = result.stdout.splitlines()
    # The score's line shows the platform's path, so the studio is in a namespace wherever a user may have one.
    assert lines[0] == "score 0.7 in /teamspace/studios/this_studio"
    assert lines[1].startswith("steps: 3 of 3 done")
    assert lines[2].endswith(" 0 left")
    assert list(folders[place.temporary].glob("lightning-native-*")) == []
