"""A project of ZenML's own Lightning integration runs unchanged with ours; only the flavor of its stack differs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.support.workbench import Workbench

from lightning_native.emulator import LocalCloud

pytestmark = pytest.mark.spread(5)

EXAMPLE = Path(__file__).parents[2] / "examples" / "from_zenml_lightning"
STACK = """
import json, os
from pathlib import Path
from zenml.client import Client
from zenml.enums import StackComponentType as Kind

client = Client()
secret = {name: os.environ[f"LIGHTNING_{name.upper()}"] for name in ("user_id", "api_key")}
client.create_secret("lightning", secret)
# Both run on this machine and can share a folder, which theirs does not see where ZenML keeps it by default.
client.create_stack_component("files", "local", Kind.ARTIFACT_STORE, {"path": str(Path(__file__).parent / "artifacts")})
for name, components in json.loads((Path(__file__).parent / "stacks.json").read_text()).items():
    orchestrator = components["orchestrator"]
    client.create_stack_component(name, orchestrator["flavor"], Kind.ORCHESTRATOR, orchestrator["configuration"])
    client.create_stack(name, {Kind.ORCHESTRATOR: name, Kind.ARTIFACT_STORE: "files"})
"""
STUDIO = """
import sys
from pathlib import Path
from lightning_sdk import Studio
studio = Studio("my-studio", create_ok=sys.argv[1] == "make")
if sys.argv[1] == "make":
    Path("rc").write_text("export MINE=1\\n")
    studio.start()
    studio.upload_file("rc", ".lightning_studio/.studiorc", progress_bar=False)
    studio.stop()
elif sys.argv[1] == "start":
    studio.start()
else:
    print(studio.status)
    studio.start()
    print(studio.run_with_exit_code("cat .lightning_studio/.studiorc; echo $MINE; pwd"))
    studio.stop()
"""


def stacks(teamspace: str, username: str) -> dict[str, dict[str, dict[str, object]]]:
    described = {}
    for name in ("before", "after"):
        components = yaml.safe_load((EXAMPLE / f"{name}.yaml").read_text())["components"]
        # The example has the names of a user; the local cloud has its own.
        components["orchestrator"]["configuration"] |= {"teamspace": teamspace, "username": username}
        described[name] = components
    return described


def test_the_two_stacks_differ_in_their_flavor_only() -> None:
    before, after = (yaml.safe_load((EXAMPLE / f"{name}.yaml").read_text()) for name in ("before", "after"))
    assert after["components"]["orchestrator"].pop("flavor") == "lightning_native"
    assert before["components"]["orchestrator"].pop("flavor") == "lightning"
    for stack in (before, after):
        del stack["stack_name"], stack["components"]["orchestrator"]["name"]
    assert before == after


def test_the_same_file_runs_on_both(zenml_home: tuple[dict[str, str], dict[str, str]], tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {
        **zenml_home[0],
        "LIGHTNING_NATIVE_HOME": str(home),
        "ZENML_CONFIG_PATH": str(tmp_path / "config"),
    }
    with LocalCloud(home / "cloud", strip_home_prefix=True) as cloud:
        workbench = Workbench(environment, cloud.environ, tmp_path / "code")
        workbench.write("pipeline.py", (EXAMPLE / "pipeline.py").read_text())
        described = stacks(cloud.environ["LIGHTNING_TEAMSPACE"], cloud.environ["LIGHTNING_USERNAME"])
        described["after"]["orchestrator"]["configuration"]["cloud"] = "local"
        workbench.write("stacks.json", json.dumps(described))
        (workbench.folder / "artifacts").mkdir()
        register = (
            "from zenml.client import Client\n"
            "Client().create_flavor('lightning_native.zenml.flavor.LightningNativeOrchestratorFlavor', "
            "component_type='orchestrator')\n"
        )
        workbench.python(register + STACK, cloud.environ)
        script = workbench.write("studio.py", STUDIO)
        at_home = ask(workbench, script, cloud, "make")

        outputs = {}
        for name in ("after", "before"):
            workbench.python(f"from zenml.client import Client; Client().activate_stack({name!r})")
            if name == "before":
                if "/teamspace/studios/this_studio" not in at_home:
                    # The old integration needs the platform's paths, which not every kernel gives an ordinary user.
                    continue
                # The old integration does not start the studio itself.
                ask(workbench, script, cloud, "start")
            given = {"LIGHTNING_CLOUD_URL": cloud.url}
            code, outputs[name] = workbench.run((EXAMPLE / "pipeline.py").read_text(), **given)
            assert code == 0, outputs[name]
            assert "largest: 3" in outputs[name]
            if name == "after":
                # The user's studio was started, used, stopped and kept, and nothing of theirs was overwritten.
                at_home = ask(workbench, script, cloud, "look")
                assert at_home.startswith("Status.Stopped" if "Status." in at_home else "Stopped")
                assert "export MINE=1\\n1\\n" in at_home


def ask(workbench: Workbench, script: Path, cloud: LocalCloud, what: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), what],
        env={**workbench.environment, **cloud.environ},
        cwd=workbench.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
