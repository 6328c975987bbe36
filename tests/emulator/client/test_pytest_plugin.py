import os
import subprocess
import sys
from pathlib import Path

USER_TEST = """
def test_mine(lightning_cloud):
    from lightning_sdk import Studio

    studio = Studio("mine")
    studio.start()
    assert studio.run("echo $LIGHTNING_CLOUD_URL") == lightning_cloud.url
    lightning_cloud.faults.add("delay", match="*")
    studio.delete()
"""


def test_the_fixture_serves_tests_of_another_project(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(USER_TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "lightning_native.emulator.pytest_plugin", "--rootdir", "."]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LIGHTNING_", "PYTEST_"))}
    # The user's variables point to the real cloud, which no test may reach through the fixture.
    environ = {**inherited, "LIGHTNING_CLOUD_URL": "http://127.0.0.1:1", "LIGHTNING_ORG": "theirs"}
    result = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=tmp_path, env=environ)
    assert "1 passed" in result.stdout, result.stdout + result.stderr
