"""Trees to archive: from installed packages and a fixed seed, in a git checkout like that of a project."""

import random
import shutil
import subprocess
import sysconfig
from pathlib import Path

SITE = Path(sysconfig.get_paths()["purelib"])
MID_BYTES = 45_000_000
TEXT = {".py", ".pyi", ".txt", ".md", ".json", ".css", ".html", ".js", ".toml", ".yaml", ".h", ".pyx", ".rst", ".csv"}


def build(kind: str, folder: Path) -> dict[str, int | str]:
    """Create one tree, and return its kind and size."""
    folder.mkdir(parents=True)
    {"mid": copy_text, "small": _small, "binary": _binary, "mixed": _mixed}[kind](folder)
    settings = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", *settings, "commit", "-qm", "corpus"], cwd=folder, check=True)
    files = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    return {"kind": kind, "files": len(files), "bytes": sum(path.stat().st_size for path in files)}


def change(folder: Path, share: float, seed: int) -> int:
    """Append a line to a share of the files, chosen at random."""
    files = sorted(path for path in folder.rglob("*.py") if ".git" not in path.parts)
    chosen = random.Random(seed).sample(files, max(1, round(len(files) * share)))
    for path in chosen:
        with path.open("a") as file:
            file.write(f"\n# changed {seed}\n")
    return len(chosen)


def _sources() -> list[Path]:
    return sorted(
        path
        for path in SITE.rglob("*")
        if path.suffix in TEXT and path.is_file() and "__pycache__" not in path.parts and path.stat().st_size < 1 << 20
    )


def _copy(sources: list[Path], folder: Path, limit: int) -> None:
    copied = 0
    for source in sources:
        size = source.stat().st_size
        if copied + size > limit:
            continue
        target = folder / source.relative_to(SITE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        copied += size


def copy_text(folder: Path) -> None:
    """Copy whole packages, up to 45 MB of text."""
    # Whole packages in a fixed random order; in alphabetic order, the limit would keep only the first letters.
    packages: dict[str, list[Path]] = {}
    for source in _sources():
        packages.setdefault(source.relative_to(SITE).parts[0], []).append(source)
    names = sorted(packages)
    random.Random(1).shuffle(names)
    _copy([source for name in names for source in packages[name]], folder, MID_BYTES)


def _small(folder: Path) -> None:
    _copy([path for path in _sources() if path.is_relative_to(SITE / "pydantic")], folder, 1_800_000)


def _binary(folder: Path) -> None:
    generator = random.Random(2)
    for number in range(16):
        (folder / f"weights-{number}.bin").write_bytes(generator.randbytes(1 << 26))


def _mixed(folder: Path) -> None:
    copy_text(folder)
    generator = random.Random(3)
    for number in range(60):
        (folder / f"blob-{number}.bin").write_bytes(generator.randbytes(1 << 20))
    for number in range(75):
        (folder / f"table-{number}.csv").write_text(
            "\n".join(f"{row},{generator.random():.6f},{generator.choice('abc')}" for row in range(50_000))
        )
