"""The promises for the oldest and the newest Python, with one wheel (make test-python-range).

`python run.py UV WHEEL FOLDER PYTHON…`: 3.10 has the native verbs and no engine, newer ones run a pipeline of ZenML.
"""

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
PIPELINE = HERE.parent / "oldest" / "run.py"
OLDEST_OF_ENGINE = (3, 11)
BASE = """
import io, subprocess, sys, tempfile
from pathlib import Path
import lightning_native, lightning_native.agent
with tempfile.TemporaryDirectory() as name:
    Path(name, "code").mkdir()
    Path(name, "code", "a.py").write_text("x")
    report = lightning_native.create_archive(Path(name, "code"), Path(name, "a.tar.gz"))
    assert report.files == 1
    lightning_native.extract_archive(Path(name, "a.tar.gz"), Path(name, "out"))
    assert Path(name, "out", "a.py").read_text() == "x"
assert lightning_native.Dag({"a": [], "b": ["a"]}).order() == ["a", "b"]
command = [sys.executable, "-m", "lightning_native"]
named = subprocess.run([*command, "name", "My Studio"], capture_output=True, text=True)
assert named.returncode == 0 and named.stdout, named.stderr
refused = subprocess.run([*command, "plan", "x.yaml"], capture_output=True, text=True)
assert refused.returncode == 1 and "Python 3.11" in refused.stderr and refused.stderr.count("\\n") == 1, refused.stderr
"""


def find(python: str) -> str | None:
    """Return the interpreter of a version on this computer."""
    roots = sorted(Path.home().glob(f".pyenv/versions/{python}.*/bin/python"))
    return str(roots[-1]) if roots else None


def main(uv: str, wheel: str, folder: str, *pythons: str) -> int:
    """Return 0 if everything works with each Python that this computer has."""
    failed, folder = 0, str(Path(folder).resolve())
    for python in pythons:
        started, interpreter = time.monotonic(), find(python)
        if interpreter is None:
            sys.stderr.write(f"Python {python} is not here: skipped\n")
            continue
        has_engine = tuple(map(int, python.split("."))) >= OLDEST_OF_ENGINE
        executable = str(Path(folder, python, "bin", "python"))
        if not Path(executable).exists():
            subprocess.run(
                [uv, "venv", "--quiet", "--seed", "--python", interpreter, str(Path(folder, python))], check=True
            )
        ours = f"lightning-native{'[zenml,emulator]' if has_engine else ''} @ file://{Path(wheel).resolve()}"
        install = [uv, "pip", "install", "--quiet", "--python", executable, "--reinstall-package", "lightning-native"]
        subprocess.run([*install, ours], check=True)
        command = [executable, str(PIPELINE)] if has_engine else [executable, "-c", BASE]
        code = subprocess.run(command, check=False, cwd=folder).returncode
        failed += bool(code)
        sys.stderr.write(f"Python {python} {'fails' if code else 'works'}, {time.monotonic() - started:.0f} s\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
