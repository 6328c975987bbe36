"""The guides quote messages that the code has, and the site has all pages."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MESSAGES = re.findall(r"^\| `([^`]+)` \|", (DOCS / "guides" / "troubleshooting.md").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def sources() -> str:
    """Return all code of the package."""
    folders = ((ROOT / "python", "*.py"), (ROOT / "rust", "*.rs"))
    return "\n".join(path.read_text() for folder, kind in folders for path in sorted(folder.rglob(kind)))


@pytest.mark.parametrize("message", MESSAGES)
def test_each_message_of_the_page_about_troubles_is_in_the_code(sources: str, message: str) -> None:
    assert message in sources


def test_the_site_has_every_page() -> None:
    def pages(entries: object) -> list[str]:
        if isinstance(entries, str):
            return [entries]
        children = entries.values() if isinstance(entries, dict) else entries
        assert isinstance(children, list) or hasattr(children, "__iter__")
        return [page for child in children for page in pages(child)]

    configuration = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert sorted(pages(configuration["nav"])) == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))
