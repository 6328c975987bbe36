"""A user's computer that is watched for secrets, and the places that the documentation allows."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lightning_native.emulator import LocalCloud
from tests.support.canary import CanaryWatch, unexpected

SECURITY = Path(__file__).parents[2] / "docs" / "reference" / "security.md"
# | kinds | `place` `place` | until | why |
_ROW = re.compile(r"^\| (?P<kinds>[^|]+) \| (?P<places>[^|]+) \| (?P<until>[^|]+) \|", re.MULTILINE)


def allowed(*, during: bool) -> list[tuple[str, str]]:
    """Return the kinds and places of secrets that the documentation allows, during a run or for ever."""
    section = SECURITY.read_text().split("## Where secrets are")[1].split("\n## ")[0]
    rules = []
    for row in _ROW.finditer(section):
        if during or row["until"].startswith("stays"):
            places = re.findall(r"`([^`]+)`", row["places"])
            rules += [(kind.strip(), place) for kind in row["kinds"].split(",") for place in places]
    assert rules
    return rules


_GONE = """
import time
from lightning_native.lightning.session import connect

cloud, deadline = connect(), time.monotonic() + 240
# Template studios stay for the next run.
while left := [name for name in cloud.studio_names() + cloud.job_names() if not name.startswith("env-")]:
    assert time.monotonic() < deadline, left
    time.sleep(0.2)
"""
_STORE = """
import os
from lightning_native.lightning.session import open_teamspace

open_teamspace().set_secret(os.environ["NAME"], os.environ["VALUE"])
"""
_SCHEDULED = """
import sys, time
from lightning_native.engine.schedules import find_schedule
from lightning_native.lightning.session import connect

cloud, deadline = connect(), time.monotonic() + 240
while not (ended := [run for run in find_schedule(cloud, sys.argv[1]).runs() if run.state() != "running"]):
    assert time.monotonic() < deadline
    time.sleep(0.2)
print(ended[0].state())
"""


@dataclass
class WatchedPlace:
    """A user's computer: a home of ours with a local cloud, a folder for temporary files, a home, and code."""

    environment: dict[str, str]
    cloud: LocalCloud
    folders: dict[str, Path]

    @property
    def code(self) -> Path:
        return self.folders["code"]

    def watch(self, canaries: dict[str, str]) -> CanaryWatch:
        """Watch for these secrets, and for the key of the local cloud."""
        return CanaryWatch({**canaries, "api-key": self.cloud.environ["LIGHTNING_API_KEY"]}, self.folders)

    def call(self, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run a command of ours; return its exit code and all of its output."""
        return self.run([sys.executable, "-m", "lightning_native", *arguments], **environment)

    def run(self, argv: list[str], **environment: str) -> tuple[int, str]:
        """Run a command in the folder of the code; return its exit code and all of its output."""
        result = subprocess.run(
            argv,
            env={**self.environment, **environment},
            cwd=self.code,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=500,
        )
        return result.returncode, result.stdout

    def set_secret(self, name: str, value: str) -> None:
        """Set a secret of the teamspace."""
        code, printed = self.run([sys.executable, "-c", _STORE], **self.cloud.environ, NAME=name, VALUE=value)
        assert code == 0, printed

    def wait_for_scheduled_run(self, name: str) -> str:
        """Wait until a schedule has a run that has ended, and return the output of the wait."""
        code, printed = self.run([sys.executable, "-c", _SCHEDULED, name], **self.cloud.environ)
        assert code == 0, printed
        return printed

    def wait_until_gone(self) -> None:
        """Wait until no studio, job or pipeline is left on the cloud; an asynchronous run continues by itself."""
        code, printed = self.run([sys.executable, "-c", _GONE], **self.cloud.environ)
        assert code == 0, printed

    def shown(self) -> str:
        """Return all that our commands show about the runs, after they have written a report of each."""
        printed = self.call("runs", "list", "--json")[1]
        for run in json.loads(printed):
            for command in (("show", "--json"), ("show",), ("logs",), ("report",)):
                printed += self.call("runs", command[0], run["run_id"], *command[1:])[1]
        return printed + self._history()

    def _history(self) -> str:
        """Return the SDK's reports to the cloud, which contain the arguments of failed calls as plain text."""
        request = urllib.request.Request(f"{self.cloud.url}/v1/sdk-command-history")  # noqa: S310  ours
        request.add_header("Authorization", f"Bearer {self.cloud.environ['LIGHTNING_API_KEY']}")
        with urllib.request.urlopen(request) as answer:  # noqa: S310  as above
            history: str = answer.read().decode()
        return history


@contextmanager
def watched_place(folder: Path, clock_rate: float = 1.0) -> Iterator[WatchedPlace]:
    """Create a watched place below a folder, with a running local cloud."""
    folders = {name: folder / name for name in ("home", "tmp", "user", "code")}
    for each in folders.values():
        each.mkdir(mode=0o700)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LIGHTNING_", "ZENML_"))}
    environment = {
        **clean,
        "HOME": str(folders["user"]),
        "LIGHTNING_NATIVE_HOME": str(folders["home"]),
        "TMPDIR": str(folders["tmp"]),
        "ZENML_CONFIG_PATH": str(folder / "zenml"),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with LocalCloud(folders["home"] / "cloud", clock_rate=clock_rate) as cloud:
        yield WatchedPlace(environment, cloud, folders)


def _wait_for_empty(trash: Path) -> None:
    """Wait until the local cloud has emptied its trash, which it does in the background."""
    deadline = time.monotonic() + 240
    while left := [name for _, _, names in os.walk(trash) for name in names]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def assert_kept(watch: CanaryWatch, printed: str) -> None:
    """Check that secrets were only in places that the documentation allows."""
    assert watch.looks, "nothing was watched"
    _wait_for_empty(watch.folders["home"] / "cloud" / "trash")
    seen = {
        "in the arguments of a process": unexpected(watch.arguments, []),
        "in a file while it ran": unexpected(watch.files, allowed(during=True)),
        "in a file afterwards": unexpected(watch.scan(), allowed(during=False)),
        "in a file that others can read": sorted(watch.modes),
        "in what was printed": sorted(watch.kinds_in(printed)),
    }
    problems = {where: sightings for where, sightings in seen.items() if sightings}
    assert not problems, problems
