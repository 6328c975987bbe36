"""The promises for each Python, with one wheel and the source distribution (make test-python-range).

`python run.py UV PACKAGES FOLDER PYTHON…`: each Python has the native verbs from the wheel alone. The newest one also
has them from the sources, and runs a pipeline of ZenML.
"""

import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
PIPELINE = HERE.parent / "oldest" / "run.py"
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
version = subprocess.run([*command, "--version"], capture_output=True, text=True)
assert version.stdout.split()[1] == lightning_native.__version__, version
# Without its extras, the engine is asked for in one line.
refused = subprocess.run([*command, "plan", "x.yaml"], capture_output=True, text=True)
words = "lightning-native[engine]" if sys.version_info >= (3, 11) else "Python 3.11"
assert refused.returncode == 1 and words in refused.stderr and "Traceback" not in refused.stderr, refused.stderr
"""


def find(python: str) -> str | None:
    """Return the interpreter of a version on this computer."""
    roots = sorted(Path.home().glob(f".pyenv/versions/{python}.*/bin/python"))
    return str(roots[-1]) if roots else None


def check(uv: str, python: str, package: str, folder: Path, command: list[str]) -> bool:
    """Return whether a command works in a clean environment of its own with our package."""
    started, interpreter = time.monotonic(), find(python)
    if interpreter is None:
        sys.stderr.write(f"Python {python} is not here: skipped\n")
        return True
    executable = str(folder / "bin" / "python")
    if not Path(executable).exists():
        subprocess.run([uv, "venv", "--quiet", "--seed", "--python", interpreter, str(folder)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", executable, "--reinstall-package", "lightning-native"]
    subprocess.run([*install, package], check=True)
    code = subprocess.run([executable, *command], check=False, cwd=folder.parent).returncode
    what = f"Python {python}, {folder.name}"
    sys.stderr.write(f"{what}: {'fails' if code else 'works'}, {time.monotonic() - started:.0f} s\n")
    return code == 0


def main(uv: str, packages: str, name: str, *pythons: str) -> int:
    """Return 0 if everything works with each Python that this computer has."""
    folder = Path(name).resolve()
    wheel, sdist = (next(Path(packages).resolve().glob(pattern)) for pattern in ("*.whl", "*.tar.gz"))
    works = [check(uv, python, str(wheel), folder / f"{python} wheel", ["-c", BASE]) for python in pythons]
    works.append(check(uv, pythons[-1], str(sdist), folder / f"{pythons[-1]} sdist", ["-c", BASE]))
    whole = f"lightning-native[zenml,emulator] @ {wheel.as_uri()}"
    works.append(check(uv, pythons[-1], whole, folder / pythons[-1], [str(PIPELINE)]))
    return 0 if all(works) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
