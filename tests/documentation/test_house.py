"""The tree leads to the files of a change: small folders, recipes whose files exist, one home for each contract."""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from lightning_native.engine.placements import PLACEMENTS
from lightning_native.placement import CAPABILITIES, PLACEMENT_NAMES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "lightning_native"
MOST_FILES = 15
# Files that a tool requires at the root of a repository.
MANY = {Path(): "configuration of the tools"}


def files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for line in listed.stdout.splitlines() if (ROOT / (path := Path(line))).is_file()]


def sources(*folders: str) -> list[tuple[Path, str]]:
    """Return the Python files of our package below some folders, with their texts."""
    paths = [path for folder in folders for path in sorted((PACKAGE / folder).rglob("*.py"))]
    return [(path.relative_to(PACKAGE), path.read_text()) for path in paths]


def found(pattern: str, *folders: str) -> dict[str, list[str]]:
    """Return what a pattern finds in the code of folders, by file."""
    hits = {str(path): re.findall(pattern, text) for path, text in sources(*folders)}
    return {path: hit for path, hit in hits.items() if hit}


def test_no_folder_shows_more_files_than_a_reader_takes_in() -> None:
    shown = Counter(path.parent for path in files() if path.name != "__init__.py")
    crowded = {str(folder): number for folder, number in shown.items() if number > MOST_FILES and folder not in MANY}
    assert crowded == {}


def test_the_package_is_modules_only_because_nothing_else_travels_to_machines() -> None:
    ours = [path for path in files() if path.is_relative_to(PACKAGE.relative_to(ROOT))]
    assert [path for path in ours if path.suffix not in (".py", ".pyi") and path.name != "py.typed"] == []


def test_our_rust_has_no_unsafe_code_and_no_c() -> None:
    ours = [path for path in files() if path.parts[0] == "rust"]
    assert [path for path in ours if path.suffix in (".c", ".h") or path.name == "build.rs"] == []
    code = {path: (ROOT / path).read_text() for path in ours if path.suffix == ".rs"}
    assert [path for path, text in code.items() if re.search(r"\bunsafe\b(?!_code)", text)] == []
    encoder = (ROOT / "rust/deflate/Cargo.toml").read_text()
    assert "[dependencies]" not in encoder
    assert "[build-dependencies]" not in encoder


def recipes() -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    return text.partition("## Where to change what")[2].partition("\n## ")[0]


def test_each_of_the_six_changes_has_a_recipe() -> None:
    titles = re.findall(r"^\*\*(.+?)\.\*\*", recipes(), re.MULTILINE)
    assert titles == [
        "A placement",
        "An emulator endpoint",
        "A command",
        "A setting, end to end",
        "A new lightning-sdk",
        "Another archive format",
    ]


def test_the_files_that_recipes_name_exist() -> None:
    named = [name for name in re.findall(r"`([\w./]+)`", recipes()) if "/" in name or name.endswith((".py", ".toml"))]
    assert len(named) > 40
    missing = [
        name for name in named if "NAME" not in name and not (ROOT / name).exists() and not (PACKAGE / name).exists()
    ]
    assert missing == []


def test_the_names_that_recipes_give_to_look_for_are_in_those_files() -> None:
    for name, file in (
        ("PLACEMENTS", PACKAGE / "engine/placements/__init__.py"),
        ("CAPABILITIES", PACKAGE / "placement.py"),
        ("ROUTES", PACKAGE / "emulator/endpoints/studios.py"),
        ("COMMANDS", PACKAGE / "cli/__init__.py"),
        ("EXAMPLE", PACKAGE / "cli/name.py"),
        ("STEP_SETTINGS", PACKAGE / "zenml/config.py"),
        ("SDK_VERSIONS", ROOT / "Makefile"),
        ("ARCHIVE_SUFFIX", PACKAGE / "agent_protocol.py"),
        ("def unpack", PACKAGE / "agent.py"),
    ):
        assert re.search(rf"\b{name}\b", file.read_text()), (name, file)


def test_every_placement_has_a_row_in_both_tables_and_in_the_documentation() -> None:
    assert set(PLACEMENTS) == set(CAPABILITIES) == set(PLACEMENT_NAMES)
    page = (ROOT / "docs/concepts/engine.md").read_text()
    for name, can in CAPABILITIES.items():
        row = re.search(rf"^\| `{name}` \|.*\| (yes|no) \| (yes|no) \|$", page, re.MULTILINE)
        assert row is not None, name
        assert row.groups() == tuple("yes" if able else "no" for able in (can.takes_images, can.takes_schedule))


def test_no_name_of_a_placement_is_compared() -> None:
    names = "|".join(PLACEMENT_NAMES)
    compared = rf"\bplacement\w*(?:\(\))?\s*(?:==|!=|in|not in)\s|[\"'](?:{names})[\"']\s*(?:==|!=)\s*[\w.]*placement"
    assert found(compared, ".") == {}


# A contract between processes, or between a run and its resumption: a pattern of its code, and its only home.
CONTRACTS = {
    "names of jobs, studios and pipelines": (r"unique_studio_name\(", "engine/resource_names.py"),
    "the folder of ours on a machine": (r"[\"']\.lightning-native[\"'/]", "agent_protocol.py"),
    "the place of specifications": (r"REMOTE_HOME\}/ops|/ops/\{", "agent_protocol.py"),
    "the task of an operation": (
        r"\bpythonpath: Sequence|[\"'](?:pythonpath|scratch|cwd)[\"']\s*:",
        "agent_protocol.py",
    ),
    "the suffix of archives on machines": (r"[\"'].*(?<!/)\.tar\.gz[\"']", "agent_protocol.py"),
    "the files of a run's folder": (
        r"[\"'](?:plan|environments|code)\.json[\"']",
        "engine/record/run_folder.py",
    ),
    "the file of a run's origin": (r"[\"']controller\.json[\"']", "engine/record/origin.py"),
    "the files that ask a run to stop": (r"[\"']stop-gracefully[\"']", "engine/record/run_folder.py"),
    "the environment of a process with credentials": (r"env=controller_environment", "engine/process/credentialed.py"),
    "the number of interruptions": (r"\b\w*(?:INTERRUPTION|RECLAIM)\w* = \d", "engine/plan.py"),
    "the time that calls may fail in a row": (r"failing_since = ", "engine/retry.py"),
    "polls that slow down": (r"\* 1\.[0-9]+\b", "engine/retry.py"),
    "the default placement": (r"DEFAULT_PLACEMENT(?:: \w+)? = ", "placement.py"),
}
NO_CONTRACT = {
    # The check that a name gives a studio's name, and the command that prints one.
    "names of jobs, studios and pipelines": {"engine/planning/name_checks.py", "cli/name.py"},
    # Archives that a user makes or reads here.
    "the suffix of archives on machines": {"cli/archive.py", "cli/extract.py"},
}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_contract_has_one_home(contract: str) -> None:
    pattern, home = CONTRACTS[contract]
    everywhere = found(pattern, "engine", "zenml", "workflow", "lightning", "cli")
    assert set(everywhere) - {home} - NO_CONTRACT.get(contract, set()) == set()
    # Otherwise the pattern is that of another time.
    assert re.search(pattern, (PACKAGE / home).read_text())
