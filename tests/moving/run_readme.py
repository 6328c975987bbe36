"""A run of README's commands, word for word, in a fresh copy of the checkout, a fresh environment, a fresh home."""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.readme import shell_script  # noqa: E402  found by the line above

# The lines that the commands print when they have done what README promises.
EXPECTED = ("largest: 3", "[report] report done", "numpy>=1.26,<3", "my-run", "hello")


def main() -> int:
    """Return 0 if every command succeeded and printed the expected lines."""
    with tempfile.TemporaryDirectory(prefix="lightning-native-readme-") as name:
        folder = Path(name)
        checkout = copy_checkout(folder / "lightning-native")
        venv.create(folder / "venv", with_pip=True)
        (folder / "home").mkdir()
        process = subprocess.Popen(
            ["bash", "-s"],
            cwd=checkout,
            env=environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(shell_script())
        process.stdin.close()
        output = ""
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            output += line
        missing = [line for line in EXPECTED if line not in output.splitlines()]
        if process.wait() != 0 or missing:
            message = f"README: exit code {process.returncode}, missing in the output: {missing}"
            sys.exit(message)
    return 0


def copy_checkout(destination: Path) -> Path:
    """Copy the files of a clone, and those that are not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).exists():
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, destination / name, follow_symlinks=False)
    return destination


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a user who has Rust and Python, and nothing of this package."""
    home = Path.home()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LIGHTNING_", "ZENML_", "XDG_", "PYTHON", "VIRTUAL_ENV", "UV_PROJECT"))
    }
    return {
        **kept,
        "PATH": os.pathsep.join([str(folder / "venv" / "bin"), os.environ["PATH"]]),
        "VIRTUAL_ENV": str(folder / "venv"),
        "HOME": str(folder / "home"),
        # The toolchain, compiled crates and downloads are shared, because they are slow and not under test.
        "CARGO_HOME": os.environ.get("CARGO_HOME", str(home / ".cargo")),
        "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(home / ".rustup")),
        "CARGO_TARGET_DIR": str(ROOT / "target"),
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(home / ".cache" / "pip")),
    }


if __name__ == "__main__":
    sys.exit(main())
