"""`docs/reference/security.md` names existing tests and fuzz targets."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_the_documentation_names_is_there() -> None:
    text = (ROOT / "docs" / "reference" / "security.md").read_text()
    tests = set(re.findall(r"`([\w/]+/test_\w+\.py)`", text))
    assert len(tests) > 20
    assert [name for name in sorted(tests) if not (ROOT / "tests" / name).is_file()] == []
    targets = {word for line in re.findall(r"fuzz targets? (`[^|]+`)", text) for word in re.findall(r"`(\w+)`", line)}
    assert targets == {"archive", "cache", "checkout", "extract"}
    assert [name for name in sorted(targets) if not (ROOT / "rust/fuzz/fuzz_targets" / f"{name}.rs").is_file()] == []
