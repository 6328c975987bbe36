"""The bench of the native verbs beside their peers, alternating; writes `results.json` beside it and README's table.

Ratios count, because absolute times differ from machine to machine.
"""

import argparse
import contextlib
import datetime
import graphlib
import importlib.metadata
import json
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import corpus
import rustworkx
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from zenml.utils.code_utils import CodeArchive

import lightning_native as native

Contender = Callable[[], object]


def alternate(
    contenders: dict[str, Contender],
    rounds: int,
    before_round: Contender = lambda: None,
    before_each: Contender = lambda: None,
) -> dict[str, float]:
    """Return the median seconds of each contender; they take turns, so that a slow minute hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        before_round()
        for name, contender in contenders.items():
            before_each()
            started = time.perf_counter()
            contender()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def measure_archive(base: Path, kind: str, rounds: int, levels: tuple[int, ...]) -> dict[str, object]:
    root = base / kind
    described = corpus.build(kind, root)
    out = base / "out"
    out.mkdir(exist_ok=True)

    sizes: dict[str, int] = {}

    def remove_archives() -> None:
        for path in out.iterdir():
            sizes[path.name] = path.stat().st_size
            path.unlink()

    def make_room() -> None:
        remove_archives()
        if kind == "binary":
            # Memory that a virtual machine has not used lately costs more than everything measured here. Memory
            # that was freed last is not reused next, so this writes more than twice the largest file.
            with (out / "room").open("wb") as file:
                for _ in range(2400):
                    file.write(bytes(1 << 20))
            (out / "room").unlink()

    shell = f"tar cf - --exclude=.git -C {root} . | pigz -p2 -{{}} > {out}/pigz-{{}}.tar.gz"

    def code_archive() -> None:
        with (out / "CodeArchive.tar.gz").open("w+b") as file:
            CodeArchive(str(root)).write_archive(file)

    def read() -> None:
        for folder, folders, files in os.walk(root):
            if ".git" in folders:
                folders.remove(".git")
            for file in files:
                with open(os.path.join(folder, file), "rb", buffering=0) as opened:  # noqa: PTH118, PTH123  the least that reading costs: no Path objects
                    while opened.read(1 << 20):
                        pass

    contenders: dict[str, Contender] = {"read the files (Python)": read, "CodeArchive": code_archive}
    for level in levels:
        contenders[f"lightning-native {level}"] = lambda level=level: native.create_archive(
            root, out / f"lightning-native-{level}.tar.gz", level=level
        )
        contenders[f"tar and pigz -p2 -{level}"] = lambda level=level: subprocess.run(
            shell.format(level, level), shell=True, check=True
        )
    if kind == "binary":
        # CodeArchive takes most of a minute a round, and no goal is about it.
        del contenders["CodeArchive"]
        contenders |= reading_and_writing(root, out)
    seconds = alternate(contenders, rounds, before_each=make_room)
    remove_archives()
    out.rmdir()
    return {"corpus": described, "seconds": seconds, "bytes": dict(sorted(sizes.items()))}


def reading_and_writing(root: Path, out: Path) -> dict[str, Contender]:
    """Return the peers of an archive of incompressible files: programs that read them, or write as many bytes."""
    paths = sorted(path for path in root.iterdir() if path.is_file())

    def read_whole() -> None:
        for path in paths:
            path.read_bytes()

    def write() -> None:
        mebibyte = bytes(1 << 20)
        with (out / "written").open("wb", buffering=0) as file:
            for _ in range(sum(path.stat().st_size for path in paths) >> 20):
                file.write(mebibyte)

    def copy_in_two_threads() -> None:
        def copy(first: int) -> None:
            mebibyte = memoryview(bytearray(1 << 20))
            for place in range(first, len(paths), 2):
                offset = place * paths[place].stat().st_size
                with paths[place].open("rb", buffering=0) as file:
                    while count := file.readinto(mebibyte):
                        offset += os.pwrite(target.fileno(), mebibyte[:count], offset)

        with (out / "copied").open("wb", buffering=0) as target, ThreadPoolExecutor(2) as pool:
            list(pool.map(copy, range(2)))

    return {
        # The way of a program that needs the bytes.
        "read the files whole (Python)": read_whole,
        # The lower bound of an archive, which also reads, hashes and checks the bytes.
        "write as much (Python)": write,
        "copy, 2 threads (Python)": copy_in_two_threads,
        "read and write (cat)": lambda: subprocess.run(f"cat {root}/* > {out}/copy", shell=True, check=True),
    }


def measure_cache(base: Path, rounds: int) -> dict[str, object]:
    root, cache = base / "mid", base / "cache"
    native.create_archive(root, base / "cached.tar.gz", cache=cache)
    seeds = iter(range(1000))

    def code_archive() -> None:
        with (base / "CodeArchive.tar.gz").open("w+b") as file:
            CodeArchive(str(root)).write_archive(file)

    seconds = alternate(
        {
            "lightning-native, cache": lambda: native.create_archive(root, base / "cached.tar.gz", cache=cache),
            "CodeArchive": code_archive,
        },
        rounds,
        before_round=lambda: corpus.change(root, 0.01, next(seeds)),
    )
    return {"seconds": seconds, "bytes": (base / "cached.tar.gz").stat().st_size}


def measure_extract(base: Path, rounds: int) -> dict[str, object]:
    archive, out = base / "extract.tar.gz", base / "extracted"
    native.create_archive(base / "mid", archive)

    def gnu_tar() -> None:
        out.mkdir()
        subprocess.run(["tar", "xzf", archive, "-C", out], check=True)

    def cpython() -> None:
        with tarfile.open(archive) as opened:
            opened.extractall(out, filter="data")

    seconds = alternate(
        {
            "lightning-native": lambda: native.extract_archive(archive, out),
            "GNU tar xzf": gnu_tar,
            "CPython data": cpython,
        },
        rounds,
        before_each=lambda: shutil.rmtree(out, ignore_errors=True),
    )
    return {"seconds": seconds}


def measure_names() -> dict[str, float]:
    def reference(name: str) -> str:
        name = re.sub(r"[^a-z0-9-]", "-", name.lower())
        return re.sub(r"-+", "-", re.sub(r"^-+", "", name))

    def nanoseconds(function: Contender) -> float:
        count = 100_000
        started = time.perf_counter()
        for _ in range(count):
            function()
        return (time.perf_counter() - started) / count * 1e9

    name = "0a1b2c3d_Train Step"
    contenders: dict[str, Contender] = {
        "an empty Python function": lambda: None,
        "sanitize_studio_name": lambda: native.sanitize_studio_name(name),
        "unique_studio_name": lambda: native.unique_studio_name("0a1b2c3d", "Train Step"),
        "three re.sub": lambda: reference(name),
    }
    return {name: statistics.median(nanoseconds(each) for _ in range(5)) for name, each in contenders.items()}


def measure_dag(nodes: int, rounds: int) -> dict[str, object]:
    generator = random.Random(4)
    # Names in the lists equal the keys but are distinct objects, as if read from JSON.
    graph = {
        f"node-{node}": [f"node-{up}" for up in {generator.randrange(node) for _ in range(3)}] if node else []
        for node in range(nodes)
    }

    def with_rustworkx() -> list[str]:
        other = rustworkx.PyDiGraph()
        ids = dict(zip(graph, other.add_nodes_from(list(graph)), strict=True))
        other.add_edges_from_no_data([(ids[up], ids[node]) for node, ups in graph.items() for up in ups])
        return [other[index] for index in rustworkx.topological_sort(other)]

    def loop_native() -> None:
        scheduler = native.Scheduler(native.Dag(graph))
        while not scheduler.is_done:
            for node in scheduler.ready():
                scheduler.start(node)
                scheduler.succeed(node)

    def loop_graphlib() -> None:
        sorter = graphlib.TopologicalSorter(graph)
        sorter.prepare()
        while sorter.is_active():
            for node in sorter.get_ready():
                sorter.done(node)

    order: dict[str, Contender] = {
        "lightning-native": lambda: native.Dag(graph).order(),
        "rustworkx": with_rustworkx,
        "graphlib": lambda: list(graphlib.TopologicalSorter(graph).static_order()),
    }
    loop: dict[str, Contender] = {"lightning-native": loop_native, "graphlib": loop_graphlib}
    return {"nodes": nodes, "order": alternate(order, rounds), "loop": alternate(loop, rounds)}


def measure_requirements(rounds: int) -> dict[str, dict[str, object]]:
    collected = []
    for distribution in importlib.metadata.distributions():
        for line in distribution.requires or []:
            with contextlib.suppress(InvalidRequirement):
                collected.append(str(Requirement(line)))
    collected.sort()
    repeated = [collected[number % len(collected)] for number in range(10_000)]
    distinct = [
        f"package-{number}>={number % 13}.{number % 7},<{20 + number % 5}; python_version >= '3.{number % 12}'"
        for number in range(10_000)
    ]
    return {
        "requirements": _measure_merging(repeated, rounds),
        "requirements, all distinct": _measure_merging(distinct, rounds),
    }


def _measure_merging(lines: list[str], rounds: int) -> dict[str, object]:
    def with_packaging() -> None:
        groups: dict[tuple[str, str], list[Requirement]] = {}
        for line in lines:
            requirement = Requirement(line)
            groups.setdefault((canonicalize_name(requirement.name), str(requirement.marker)), []).append(requirement)

    seconds = alternate(
        {
            "lightning-native": lambda: native.merge_requirements([lines], on_conflict="last"),
            "packaging": with_packaging,
        },
        rounds,
    )
    return {"lines": len(lines), "distinct": len(set(lines)), "seconds": seconds}


def ratio_table(results: dict[str, dict]) -> str:
    """Return a Markdown table of the results with goals."""
    rows = []

    def row(what: str, ours: float, peers: dict[str, float], goal: str) -> None:
        against = ", ".join(f"{theirs / ours:.2f}x {name}" for name, theirs in peers.items())
        rows.append(f"| {what} | {ours * 1e3:.1f} ms | {against} | {goal} |")

    mid = results["archive mid"]["seconds"]
    for level, goals in ((6, "14x, 2.2x"), (1, "25x, 2x")):
        peers = {name: mid[name] for name in ("CodeArchive", f"tar and pigz -p2 -{level}")}
        row(f"archive, mid tree, level {level}", mid[f"lightning-native {level}"], peers, goals)
    cached = results["archive mid, 1 % changed"]["seconds"]
    row("archive, 1 % changed, cache", cached["lightning-native, cache"], {"CodeArchive": cached["CodeArchive"]}, "60x")
    if binary := results.get("archive binary"):
        times = binary["seconds"]
        readers = (
            "read the files (Python)",
            "write as much (Python)",
            "copy, 2 threads (Python)",
            "read the files whole (Python)",
            "read and write (cat)",
        )
        peers = {name: times[name] for name in (*readers, "tar and pigz -p2 -6")}
        row("archive, 1 GiB incompressible", times["lightning-native 6"], peers, "0.5x reading")
    extract = dict(results["extract mid"]["seconds"])
    row("extract, mid tree", extract.pop("lightning-native"), extract, "2x, 6x")
    for what, goal in (("order", "2x, 8x"), ("loop", "5x")):
        times = dict(results["dag"][what])
        row(f"DAG {what}, 100,000 nodes", times.pop("lightning-native"), times, goal)
    for what in ("requirements", "requirements, all distinct"):
        merge = dict(results[what]["seconds"])
        row(f"merge 10,000 {what}", merge.pop("lightning-native"), merge, "15x")
    header = "| what | time | as many times as fast as | goal |\n|---|---|---|---|"
    names = results["names"]
    told = ", ".join(f"{name} {value:.0f} ns" for name, value in names.items())
    return "\n".join([header, *rows, f"\nNames: {told}."])


def write_table(table: str) -> None:
    """Put the table into the README, between its two marks."""
    readme = Path(__file__).parents[1] / "README.md"
    before, start, rest = readme.read_text().partition("<!-- bench -->\n")
    _, end, after = rest.partition("<!-- /bench -->\n")
    readme.write_text(f"{before}{start}{table}\n{end}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="without the 1 GiB tree")
    args = parser.parse_args()
    versions = {name: importlib.metadata.version(name) for name in ("zenml", "rustworkx", "packaging")}
    versions |= {
        "python": platform.python_version(),
        "lightning-native": importlib.metadata.version("lightning-native"),
    }
    for tool in ("tar", "pigz", "git"):
        done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True)
        versions[tool] = (done.stdout or done.stderr).splitlines()[0]
    results: dict[str, dict] = {}
    # Files in memory if there is /dev/shm, so that no disk changes the result.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        base = Path(folder)
        results["archive mid"] = measure_archive(base, "mid", args.rounds, (6, 1))
        results["extract mid"] = measure_extract(base, args.rounds)
        results["archive mid, 1 % changed"] = measure_cache(base, args.rounds)
        results["archive small"] = measure_archive(base, "small", args.rounds, (6,))
        if not args.quick:
            results["archive binary"] = measure_archive(base, "binary", 3, (6,))
    results["dag"] = measure_dag(100_000, args.rounds)
    results["names"] = measure_names()
    results |= measure_requirements(args.rounds)
    table = ratio_table(results)
    print(table)
    if not args.quick:
        write_table(table)
    machine = {"processors": os.cpu_count(), "system": platform.platform()}
    when = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    report = {"when": when, "machine": machine, "versions": versions, "rounds": args.rounds, "results": results}
    Path(__file__).with_name("results.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
