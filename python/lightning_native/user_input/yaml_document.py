"""YAML as data with the line of each value, so that every mistake is reported at its line.

Values follow YAML 1.2: `on`, `no` and `012:30` are text, only `true` and `false` are booleans.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml
from yaml.composer import ComposerError

from lightning_native.errors import PlanError
from lightning_native.user_input.bounds import problem_of_text
from lightning_native.user_input.url_credentials import without_credentials
from lightning_native.user_input.user_files import read_user_text

Location = tuple[str | int, ...]
_T = TypeVar("_T")

# Far more than people write, and less than a few lines with nested aliases expand to.
MOST_VALUES = 100_000
DEEPEST = 100
_LONGEST_MESSAGE = 2000
_MOST_COMPARED = 200
_MOST_SHOWN = 50
# PyYAML reads about 100 KB a second.
_MOST_BYTES = 1 << 20
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_MERGE = "tag:yaml.org,2002:merge"


class BoundedLoader(yaml.SafeLoader):
    """A loader that refuses a text with more values, or deeper ones, than people write."""

    def __init__(self, stream: str) -> None:
        """Read from a text."""
        super().__init__(stream)
        self._nodes = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Read one value with its content."""
        self._nodes += 1
        self._depth += 1
        try:
            self._check_bounds()
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def _check_bounds(self) -> None:
        if self._nodes <= MOST_VALUES and self._depth <= DEEPEST:
            return
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the base class has no types
        few, deep = f"there are more than {MOST_VALUES} values", f"values are nested more than {DEEPEST} deep"
        raise ComposerError(None, None, few if self._nodes > MOST_VALUES else deep, mark)


class _Loader(BoundedLoader):
    """A loader with the resolver of YAML 1.2's core schema instead of 1.1's."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  the base class's own design


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


class Written:
    """A number or boolean with its spelling, for keys that are text: `1.10`, or the command `true`."""

    text: str


class WrittenInt(Written, int):
    """A whole number."""


class WrittenFloat(Written, float):
    """A number."""


class WrittenBool(Written, int):
    """`true` or `false`; Python's own class can have no attributes."""


_Scalar = TypeVar("_Scalar", bound=Written)


@dataclass
class Document:
    """A YAML mapping.

    Attributes:
        name: the file's name as the user gave it.
        value: the data: text, None, lists, dicts, and numbers and booleans as `Written`.
        lines: the line of each value, by its location; 1 is the first.
    """

    name: str
    value: dict[str, Any] = field(default_factory=dict)
    lines: dict[Location, int] = field(default_factory=dict)

    def problem(self, location: Location, message: str) -> str:
        """Return a message with the place of a mistake in the file."""
        # A quoted value may be a URL with credentials.
        message = without_credentials(message)
        if len(message) > _LONGEST_MESSAGE:
            # A quoted value may be as long as the file.
            message = f"{message[: _LONGEST_MESSAGE // 2]} … {message[-_LONGEST_MESSAGE // 2 :]}"
        return f"{self.place(location)}: {_path(location)}{message}"

    def place(self, location: Location) -> str:
        """Return `file:line` of a value; of the whole document the file alone."""
        return f"{self.name}:{self.line(location)}" if location else self.name

    def line(self, location: Location) -> int:
        """Return the line of a value, or of the nearest value around it that has one."""
        while location not in self.lines:
            location = location[:-1]
        return self.lines[location]


def read_yaml(path: Path) -> Document:
    """Read a file that holds one YAML mapping.

    Raises:
        PlanError: it cannot be read, is no YAML, holds anything but one mapping, or has a key twice.
    """
    name = str(path)
    try:
        loader = _Loader(read_user_text(path, most=_MOST_BYTES))
    except OSError as error:
        raise PlanError(f"{name} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{name} is no text in UTF-8: byte {error.start} does not fit; name a YAML file") from error
    except yaml.YAMLError as error:
        raise PlanError(f"{name} is no YAML: {error}") from error
    try:
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise PlanError(f"{where}: this is no YAML: {error.problem or error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise PlanError(f"{name} is no YAML: {error}") from error
    finally:
        loader.dispose()
    if not isinstance(root, yaml.MappingNode):
        found = "is empty" if root is None else "does not hold a mapping"
        raise PlanError(f"{name} {found}; write keys and values, such as `steps:`")
    document = Document(name)
    document.value = _Reader(document).mapping(root, ())
    return document


class _Reader:
    """Converts nodes to values and records their lines."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: list[yaml.Node] = []
        self._count = 0

    def mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        """Read a mapping; its keys are text as written."""
        self._document.lines.setdefault(location, node.start_mark.line + 1)
        value: dict[str, Any] = {}
        for key, (key_node, value_node) in self._entries(node, location).items():
            inner = (*location, key)
            self._document.lines[inner] = key_node.start_mark.line + 1
            value[key] = self._value(value_node, inner)
        return value

    def _entries(self, node: yaml.MappingNode, location: Location) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            self._counted(key_node, location)
            if key_node.tag == _MERGE:
                for base in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                    if not isinstance(base, yaml.MappingNode) or base is node:
                        raise self._error(key_node, location, "<< takes a mapping or a list of mappings")
                    # Guarded, because a base that is merged many times is read as often.
                    merged = {**self._guarded(base, partial(self._entries, base, location)), **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, location, "a key must be text")
            self._check_text(key_node, location)
            if key_node.value in own:
                first = own[key_node.value][0].start_mark.line + 1
                message = f"key {key_node.value!r} is there twice, first in line {first}; remove one"
                raise self._error(key_node, location, message)
            own[key_node.value] = (key_node, value_node)
        return {**merged, **own}

    def _value(self, node: yaml.Node, location: Location) -> Any:
        self._counted(node, location)
        self._document.lines.setdefault(location, node.start_mark.line + 1)
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS:
            raise self._error(node, location, f"the tag {node.tag!r} is not understood; remove it")
        if isinstance(node, yaml.MappingNode):
            return self._guarded(node, partial(self.mapping, node, location))
        if isinstance(node, yaml.SequenceNode):
            return self._guarded(node, partial(self._items, node, location))
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, location, "this is neither text nor a list nor a mapping")
        return self._scalar(node, location)

    def _counted(self, node: yaml.Node, location: Location) -> None:
        self._count += 1
        if self._count > MOST_VALUES:
            message = f"there are more than {MOST_VALUES} values; are there nested aliases?"
            raise self._error(node, location, message)

    def _items(self, node: yaml.SequenceNode, location: Location) -> list[Any]:
        return [self._value(item, (*location, index)) for index, item in enumerate(node.value)]

    def _scalar(self, node: yaml.ScalarNode, location: Location) -> Any:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        self._check_text(node, location)
        try:
            if kind == "null":
                return None
            if kind == "bool":
                return _written(WrittenBool(node.value.lower() == "true"), node)
            if kind == "int":
                return _written(WrittenInt(node.value), node)
            if kind == "float":
                return _written(WrittenFloat(re.sub(r"\.(?=inf)", "", node.value.lower())), node)
        except ValueError as error:
            raise self._error(node, location, f"{node.value[:40]!r} is no number: {error}") from error
        if kind in ("str", "merge"):
            return str(node.value)
        raise self._error(node, location, f"the tag {node.tag!r} is not understood; write plain text")

    def _check_text(self, node: yaml.ScalarNode, location: Location) -> None:
        problem = problem_of_text(node.value)
        if problem is not None:
            raise self._error(node, location, problem)

    def _guarded(self, node: yaml.Node, read: Callable[[], _T]) -> _T:
        """Read the content of a node, unless the node contains itself."""
        if any(node is outer for outer in self._open):
            raise self._error(node, (), "an alias stands for something that holds the alias itself")
        if len(self._open) >= DEEPEST:
            raise self._error(node, (), f"values are nested more than {DEEPEST} deep")
        self._open.append(node)
        try:
            return read()
        finally:
            self._open.pop()

    def _error(self, node: yaml.Node, location: Location, message: str) -> PlanError:
        return PlanError(f"{self._document.name}:{node.start_mark.line + 1}: {_path(location)}{message}")


def _written(value: _Scalar, node: yaml.ScalarNode) -> _Scalar:
    value.text = node.value
    return value


def _path(location: Location) -> str:
    """Return `steps.train.machine: `, or nothing for the whole document."""
    text = ""
    for part in location:
        plain = isinstance(part, str) and re.fullmatch(r"[\w-]+", part)
        text += f".{part}" if plain else f"[{part!r}]"
    return f"{text.lstrip('.')}: " if text else ""


def did_you_mean(wrong: str, known: Iterable[str], what: str) -> str:
    """Return a hint with the nearest of the known names, or with all of them when none is near."""
    names = list(known)
    # The comparison is slow with very many names, and a list of very many is not read anyway.
    near = (
        difflib.get_close_matches(wrong, names[:_MOST_COMPARED], n=3, cutoff=0.6) if len(wrong) < _MOST_COMPARED else []
    )
    shown = names[:_MOST_SHOWN] + (["…"] if len(names) > _MOST_SHOWN else [])
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"{what}: {', '.join(shown) or 'none'}"
