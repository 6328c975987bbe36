"""`dag`: order a graph, or find its cycle."""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from lightning_native import Dag
from lightning_native.errors import DagError
from lightning_native.user_input.user_files import read_user_text

# Enough for millions of nodes.
_MOST_BYTES = 1 << 30

EXAMPLE = """echo '{"train": ["load"], "load": []}' | lightning-native dag -"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("file", help="JSON: an object with the list of upstream nodes of each node; - for stdin")
    parser.add_argument("--durations", metavar="FILE", help="JSON: an object with the seconds of each node")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print order, generations and critical path")
    output.add_argument("--mermaid", action="store_true", help="print a Mermaid flow chart")


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    upstream = _read_graph(args.file)
    dag = Dag(upstream)
    durations = _read_durations(args.durations) if args.durations else None
    critical = dag.critical_path(durations) if durations is not None else None
    if args.mermaid:
        print(_mermaid(upstream, dag.order(), set(critical or ())))
    elif args.json:
        result: dict[str, object] = {"order": dag.order(), "generations": dag.generations()}
        if durations is not None and critical is not None:
            result |= {"critical_path": critical, "seconds": sum(durations[node] for node in critical)}
        print(json.dumps(result, indent=2))
    else:
        print("\n".join(dag.order()))
    return 0


def _mermaid(upstream: dict[str, list[str]], order: list[str], critical: set[str]) -> str:
    """Return a flow chart; the ids of nodes are numbers, because names may have any character."""
    ids = {node: f"n{number}" for number, node in enumerate(order)}
    lines = ["flowchart TD"]
    for node in order:
        label = "".join(f"#{ord(character)};" if character in '"#&<>\n\\`' else character for character in node)
        lines.append(f'    {ids[node]}["{label}"]' + (":::critical" if node in critical else ""))
    lines += [f"    {ids[before]} --> {ids[node]}" for node in order for before in upstream[node]]
    if critical:
        lines.append("    classDef critical stroke-width:4px")
    return "\n".join(lines)


def _read_graph(file: str) -> dict[str, list[str]]:
    graph = _read_object(file)
    for node, upstream in graph.items():
        if not isinstance(upstream, list) or not all(isinstance(name, str) for name in upstream):
            raise DagError(f"{file}: the upstream nodes of {node!r} are no list of names")
    return graph


def _read_durations(file: str) -> dict[str, float]:
    durations = _read_object(file)
    for node, seconds in durations.items():
        if not isinstance(seconds, int | float) or isinstance(seconds, bool):
            raise DagError(f"{file}: the duration of {node!r} is no number")
    return durations


def _read_object(file: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if file == "-" else read_user_text(Path(file), most=_MOST_BYTES)
        value = json.loads(text, object_pairs_hook=_unique)
    except OSError as error:
        raise DagError(f"cannot read {file}: {error.strerror or error}") from error
    except RecursionError as error:
        raise DagError(f"cannot read {file}: it is nested too deeply") from error
    except ValueError as error:
        raise DagError(f"cannot read {file}: it is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise DagError(f"{file} has no JSON object; write the upstream nodes of each node: {EXAMPLE}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a repeated node, of which JSON would silently keep the last."""
    value = dict(pairs)
    if len(value) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise DagError(f"node {twice!r} is there twice")
    return value
