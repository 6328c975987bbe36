"""The bench of the DEFLATE encoder alone, one thread, beside libdeflate, zlib-rs and the encoder that was here before.

It writes `deflate.json` beside it: time and size a level, as ratios to each peer in the same run. The former encoder, C
code that followed libdeflate's, was measured once, in `before`, on the corpora of that day.
"""

import argparse
import json
import random
import subprocess
import tempfile
from pathlib import Path

import corpus

HERE = Path(__file__).parent
MOST_BYTES = 16_000_000


def build(folder: Path) -> list[Path]:
    """Create the corpora: text of packages, programs and libraries, and bytes that cannot be compressed."""
    tree = folder / "tree"
    tree.mkdir()
    corpus.copy_text(tree)
    text = folder / "text"
    text.write_bytes(b"".join(path.read_bytes() for path in sorted(tree.rglob("*")) if path.is_file())[:MOST_BYTES])
    programs = folder / "programs"
    libraries = sorted(path for path in corpus.SITE.rglob("*.so") if path.stat().st_size < 4 << 20)
    programs.write_bytes(b"".join(path.read_bytes() for path in libraries)[:MOST_BYTES])
    incompressible = folder / "incompressible"
    incompressible.write_bytes(random.Random(2).randbytes(MOST_BYTES))
    return [text, programs, incompressible]


def measure(files: list[Path], levels: str, rounds: int) -> list[dict[str, object]]:
    command = ["cargo", "run", "--release", "--quiet", "--package", "lightning-native-deflate", "--example", "measure"]
    arguments = [*map(str, files), "--levels", levels, "--rounds", str(rounds)]
    output = subprocess.run([*command, "--", *arguments], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def row(measured: dict[str, dict[str, float]]) -> dict[str, object]:
    """Return a measurement as ratios of the encoder to each of its peers."""
    ours = measured["ours"]
    ratios = {
        name: {part: round(ours[part] / measured[name][part], 4) for part in ("seconds", "bytes")}
        for name in ("libdeflate", "zlib-rs")
        if name in measured
    }
    return {"file": Path(str(measured["file"])).name, "level": measured["level"], "ours": ours, "to": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--levels", default="1,3,6,9,12")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    results = HERE / "deflate.json"
    before = json.loads(results.read_text())["before"] if results.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(measured) for measured in measure(build(Path(folder)), arguments.levels, arguments.rounds)]  # type: ignore[arg-type]  # of JSON
    results.write_text(json.dumps({"now": rows, "before": before}, indent=1) + "\n")
    for line in rows:
        print(json.dumps(line))


if __name__ == "__main__":
    main()
