"""The actions of a studio run at each start and before each stop."""

from pathlib import Path

from tests.support.scripts import answer_of

from lightning_native.emulator import LocalCloud

WRITE = """
import json
from lightning_sdk import Status, Studio
studio = Studio("acting")
studio.start()
studio.run("printf 'OWN=1\\\\npwd >> ~/marks\\\\necho started\\\\n' > .lightning_studio/on_start.sh")
studio.run("printf 'echo stopped | tee -a ~/marks\\\\n' > .lightning_studio/on_stop.sh")
"""


def test_a_studio_runs_its_actions_at_each_start_and_before_each_stop(tmp_path: Path) -> None:
    script = f"""{WRITE}
studio.stop()
studio.start()
studio.run("until [ -s .lightning_studio/logs/on_start.log ]; do sleep 0.1; done")
marks = studio.run("cat marks").split()
logs = [studio.run(f"cat .lightning_studio/logs/on_{{name}}.log") for name in ("start", "stop")]
print(json.dumps([marks, logs, studio.run("echo variable=$OWN"), studio.run("pwd")]))
"""
    with LocalCloud(tmp_path / "root") as cloud:
        marks, logs, variable, home = answer_of(cloud, script)
    assert marks == ["stopped", home]
    assert logs == ["started", "stopped"]
    assert variable == "variable="


def test_an_action_that_does_not_end_does_not_keep_a_studio_from_stopping(tmp_path: Path) -> None:
    script = f"""{WRITE}
studio.run("echo 'sleep 900' >> .lightning_studio/on_stop.sh")
studio.stop()
print(json.dumps(str(studio.status)))
"""
    with LocalCloud(tmp_path / "root") as cloud:
        assert answer_of(cloud, script) == "Stopped"
