"""The reference pages name every command, option and setting, and all links lead to existing pages and headings."""

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_native.cli import COMMANDS
from lightning_native.cli.options.shared import share_options
from lightning_native.zenml.config import (
    STEP_SETTINGS,
    LightningNativeOrchestratorSettings,
    LightningNativeStepSettings,
)

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*DOCS.rglob("*.md"), *ROOT.glob("*.md")]


def sections(text: str) -> dict[str, str]:
    parts = re.split(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def parsers(parser: argparse.ArgumentParser, path: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield path, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from parsers(inner, f"{path} {name}")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_of_a_command_is_in_the_reference(command: str) -> None:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"lightning_native.cli.{command}").add_arguments(parser)
    share_options(parser)
    page = sections((DOCS / "reference" / "cli.md").read_text())
    for path, of_action in parsers(parser, command):
        has_actions = any(isinstance(action, argparse._SubParsersAction) for action in of_action._actions)
        assert path in page
        shown_options = [action for action in of_action._actions if action.help != argparse.SUPPRESS]
        named = {name for action in shown_options for name in action.option_strings} - {"-h", "--help"}
        # Options that a command shares with its actions are in their tables.
        if not has_actions or command == "emulator":
            shown = page[path] if path != "emulator fault" else page["emulator fault list"]
            assert [name for name in sorted(named) if not re.search(rf"`{name}[` ]", shown)] == [], path


def test_each_setting_is_in_the_reference_with_its_default_and_its_marks() -> None:
    page = (DOCS / "reference" / "settings.md").read_text()
    for name, field in LightningNativeOrchestratorSettings.model_fields.items():
        row = re.search(rf"^\| `{name}`(?P<marks>[^|]*)\|[^|]*\|(?P<default>[^|]*)\|", page, re.MULTILINE)
        assert row is not None, name
        assert ("•" in row["marks"]) == (name in STEP_SETTINGS), name
        assert ("◦" in row["marks"]) == (name in LightningNativeStepSettings.model_fields), name
        if field.default is not None:
            default = f"{field.default:g}" if type(field.default) is float else str(field.default).lower()
            assert row["default"].strip(" `").lower() == default, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_pages_and_headings_that_are_there(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        target, _, heading = link.partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        if heading:
            titles = [re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in headings(path)]
            assert heading in titles, link


def headings(path: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)


def test_each_place_that_the_glossary_names_is_there() -> None:
    root = DOCS.parent
    rooms = [root, root / "python" / "lightning_native", root / "rust", root / "rust" / "core" / "src"]
    named = set(re.findall(r"`([\w/]+\.(?:py|rs))`", (DOCS / "glossary.md").read_text()))
    assert len(named) > 40
    assert [name for name in sorted(named) if not any((room / name).is_file() for room in rooms)] == []
