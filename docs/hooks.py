"""The site's hooks: links to files that are no pages become their paths, and `::: MODULE NAME …` becomes their API."""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LINK = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#\s]*)(#[^)\s]*)?\)")
_API = re.compile(r"^::: ([\w.]+)((?: \w+)*)$", re.MULTILINE)
_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Example):$")
_ITEM = re.compile(r"^    (\w[\w., *]*): (.*)$")
_DOCS = Path(__file__).parent
_SOURCES = _DOCS.parent / "python"

_Definition = ast.ClassDef | ast.FunctionDef


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Replace the links of one page that lead out of the documentation, and its references to code."""
    folder = (_DOCS / page.file.src_uri).parent

    def replaced(link: "re.Match[str]") -> str:
        target = (folder / link[2]).resolve()
        if target.is_relative_to(_DOCS):
            return link[0]
        return f"{link[1]} (`{target.relative_to(_DOCS.parent)}`)"

    return with_api(_LINK.sub(replaced, markdown))


def with_api(markdown: str) -> str:
    """Replace each line `::: MODULE NAME …` by signatures and docstrings; without names, by those of `__all__`."""
    return _API.sub(lambda line: "\n".join(_described(line[1], line[2].split())), markdown)


def _described(module: str, names: list[str]) -> Iterator[str]:
    for name in names or _names(_tree(module)):
        found = _find(module, name)
        if found is not None:
            yield from _definition(*found)


def _path(module: str) -> Path:
    path = _SOURCES.joinpath(*module.split("."))
    return next(p for p in (path.with_suffix(".pyi"), path.with_suffix(".py"), path / "__init__.py") if p.exists())


def _tree(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text())


def _names(tree: ast.Module) -> list[str]:
    """Return the names of `__all__`; without one, those of all definitions."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return [node.name for node in tree.body if isinstance(node, _Definition) and not node.name.startswith("_")]


def _find(module: str, name: str) -> tuple[str, _Definition] | None:
    """Return the source of the module that defines a name, and the definition; None for a module or a value."""
    for node in _tree(module).body:
        if isinstance(node, _Definition) and node.name == name:
            return _path(module).read_text(), node
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            origin = str(node.module)
            return None if _SOURCES.joinpath(*origin.split("."), name).exists() else _find(origin, name)
    return None


def _definition(source: str, node: _Definition) -> Iterator[str]:
    yield f"### `{node.name}`\n\n```python\n{_signature(source, node)}\n```\n\n{_prose(node)}\n"
    body = _body(source, node) if isinstance(node, ast.ClassDef) else []
    members = [each for each in body if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")]
    properties = [member for member in members if _is_property(member)]
    for member in properties:
        meaning = " ".join((ast.get_docstring(member) or "").partition("\n\n")[0].split())
        yield f"- `{member.name}`, `{ast.unparse(member.returns) if member.returns else 'object'}`: {meaning}"
    yield ""
    for member in [each for each in members if each not in properties]:
        yield f"#### `{node.name}.{member.name}`\n\n```python\n{_signature(source, member)}\n```\n\n{_prose(member)}\n"


def _body(source: str, node: ast.ClassDef) -> list[ast.stmt]:
    """Return the body of a class after those of its private bases in the same module."""
    classes = {each.name: each for each in ast.parse(source).body if isinstance(each, ast.ClassDef)}
    bases = [classes[name] for base in node.bases if (name := ast.unparse(base)).startswith("_") and name in classes]
    return [each for base in bases for each in _body(source, base)] + node.body


def _is_property(node: ast.FunctionDef) -> bool:
    return any(ast.unparse(decorator) == "property" for decorator in node.decorator_list)


def _signature(source: str, node: _Definition) -> str:
    """Return the lines of a definition before its body; of a class also its fields and the arguments to create one."""
    lines = source.splitlines()
    head = lines[node.lineno - 1 : max(node.body[0].lineno - 1, node.lineno)]
    text = re.sub(r":(?: \.\.\.)?(?:\s+#.*)?$", "", textwrap.dedent("\n".join(head)).rstrip())
    for member in node.body if isinstance(node, ast.ClassDef) else ():
        if isinstance(member, ast.AnnAssign) and not ast.unparse(member.target).startswith("_"):
            text += "\n" + textwrap.indent(ast.unparse(member), "    ")
        if isinstance(member, ast.FunctionDef) and member.name in ("__init__", "__new__"):
            text += "\n" + textwrap.indent(_signature(source, member), "    ")
    return text


def _prose(node: _Definition) -> str:
    """Return a docstring as Markdown: its sections become lists."""
    lines: list[str] = []
    section = ""
    for line in (ast.get_docstring(node) or "").splitlines():
        if _SECTION.match(line):
            section = line
            lines += ["", f"**{line.rstrip(':')}**", ""]
        elif section and (item := _ITEM.match(line)):
            lines.append(f"- `{item[1]}`: {item[2]}")
        else:
            lines.append(line.removeprefix("    ") if section else line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))
