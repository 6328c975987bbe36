"""Runs of a user's script, all our uses and workflows with versions of lightning-sdk (make test-sdk-range).

`python run.py UV WHEEL FOLDER PYTHON VERSION…`: each version gets an environment of its own below FOLDER.
"""

import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
PLACEMENTS = ("studio", "job", "platform")
WORKFLOW = """
name: range
placement: {placement}
steps:
  one: {{command: echo one}}
  two: {{command: echo two, needs: one, machine: L4}}
"""


def install(uv: str, wheel: str, folder: Path, python: str, sdk: str) -> Path:
    """Return the Python of an environment that has our wheel and a version of the SDK."""
    environment = folder / sdk
    executable = environment / "bin" / "python"
    if not executable.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", python, str(environment)], check=True)
    command = [uv, "pip", "install", "--quiet", "--python", str(executable), "--reinstall-package", "lightning-native"]
    subprocess.run([*command, f"lightning-native[engine,emulator] @ file://{wheel}"], check=True)
    # A separate command, because our requirements exclude older SDKs, which the local cloud serves nevertheless.
    subprocess.run([*command[:-2], f"lightning-sdk=={sdk}"], check=True)
    return executable


def scripts(folder: Path, oldest_of_ours: str) -> list[list[str]]:
    """Return the commands for this environment's SDK: fewer if the SDK is only for the user's own scripts."""
    commands = [[str(HERE / "use_sdk.py")]]
    if _numbers(version("lightning-sdk")) < _numbers(oldest_of_ours):
        return [*commands, [str(HERE / "is_too_old.py")]]
    for placement in PLACEMENTS:
        (folder / f"{placement}.yaml").write_text(WORKFLOW.format(placement=placement))
    ours = [["-m", "lightning_native", "run", f"{placement}.yaml"] for placement in PLACEMENTS]
    return [*commands, [str(HERE / "use_package.py")], *ours, ["-m", "lightning_native", "doctor"]]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3])


def run_all() -> int:
    """Return 0 if everything works with the SDK that is installed beside this process."""
    from lightning_native.emulator import LocalCloud
    from lightning_native.lightning.sdk.version import OLDEST

    with tempfile.TemporaryDirectory(prefix="lightning-native-range-") as name:
        folder = Path(name)
        (folder / "user").mkdir()
        (folder / "code").mkdir()
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("LIGHTNING_")}
        own = {"HOME": str(folder / "user"), "LIGHTNING_NATIVE_HOME": str(folder / "home")}
        with LocalCloud(folder / "cloud") as cloud:
            for command in scripts(folder / "code", OLDEST):
                result = subprocess.run(
                    [sys.executable, *command],
                    cwd=folder / "code",
                    env={**inherited, **own, **cloud.environ},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if result.returncode:
                    sys.stderr.write(f"{command} ended with {result.returncode}\n{result.stdout}{result.stderr}\n")
                    return 1
                if "Exception in thread" in result.stderr:
                    sys.stderr.write(f"{command} lost a thread\n{result.stderr}\n")
                    return 1
    return 0


def main(uv: str, wheel: str, folder: str, python: str, *versions: str) -> int:
    """Return 0 if everything works with every version."""
    failed = []
    for sdk in versions:
        started = time.monotonic()
        executable = install(uv, str(Path(wheel).resolve()), Path(folder), python, sdk)
        result = subprocess.run([str(executable), __file__, "--installed"], check=False)
        if result.returncode:
            failed.append(sdk)
        word = "fails" if result.returncode else "works"
        sys.stderr.write(f"lightning-sdk {sdk} {word}, {time.monotonic() - started:.0f} s\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run_all() if sys.argv[1:] == ["--installed"] else main(*sys.argv[1:]))
