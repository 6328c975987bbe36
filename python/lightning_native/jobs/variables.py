"""The variables of a job: a list of `{name, value}`, whose values may refer to each other."""

import json
import re
from collections.abc import Iterable, Mapping
from configparser import MAX_INTERPOLATION_DEPTH, InterpolationDepthError, InterpolationError, InterpolationSyntaxError
from typing import Any

_SECTION = "envs"
# Linux's limit for one variable.
_LONGEST = 128 * 1024 - 1
_REFERENCE = re.compile(r"\$\{([^}]+)\}")


def environment_variables(variables: Iterable[Mapping[str, Any]] | Mapping[str, Any]) -> dict[str, str]:
    """Return a job's variables with `${NAME}` replaced, as ADS does it.

    A reference to an unknown variable stays as written, with the text after it. `$$` is a dollar. None is empty text;
    every other value that is no text becomes JSON. The last variable of a name counts.

    Raises:
        KeyError: a variable has no `name` or no `value`.
        InterpolationSyntaxError: a reference is not closed, or has more than one colon.
        InterpolationDepthError: variables refer to each other in a circle.
        InterpolationError: a variable is longer than Linux accepts, by itself or with the variables in it.
    """
    if isinstance(variables, list):
        variables = {variable["name"]: variable["value"] for variable in variables}
    if not isinstance(variables, Mapping):
        kind = type(variables).__name__
        raise AttributeError(f"environment variables are a list of {{name, value}} or a mapping, not a {kind}")
    texts = {str(name): _text(value) for name, value in variables.items()}
    return {name: _expanded(str(name), texts) for name in variables}


def _expanded(name: str, texts: Mapping[str, str]) -> str:
    if "$" not in texts[name]:
        return texts[name]
    return "".join(_pieces(name, texts[name], texts, 1, _Budget(name)))


class _Budget:
    """The room for one variable's value, because nested variables grow beyond any machine's memory."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._left = _LONGEST

    def take(self, length: int) -> None:
        self._left -= length
        if self._left < 0:
            message = f"{self._name} is longer than Linux takes, {_LONGEST} bytes, with the variables that it contains"
            raise InterpolationError(self._name, _SECTION, message)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return str(value)


def _pieces(name: str, text: str, texts: Mapping[str, str], depth: int, budget: _Budget) -> list[str]:
    if depth > MAX_INTERPOLATION_DEPTH:
        raise InterpolationDepthError(name, _SECTION, "not shown")
    pieces = []
    budget.take(len(text))
    while text:
        before, dollar, after = text.partition("$")
        pieces.append(before)
        if not dollar:
            break
        if after.startswith("{"):
            match = _REFERENCE.match(dollar + after)
            if match is None:
                message = f"{name} has a reference that is not closed; write ${{NAME}}, or $$ for a dollar"
                raise InterpolationSyntaxError(name, _SECTION, message)
            section, _, referred = match[1].rpartition(":")
            if ":" in section:
                message = f"{name} has a reference with more than one colon; write ${{NAME}}"
                raise InterpolationSyntaxError(name, _SECTION, message)
            if section not in ("", _SECTION) or (match[1].startswith(":")) or referred not in texts:
                # As in ADS: the rest of the text stays as written.
                pieces.append(dollar + after)
                break
            value = texts[referred]
            if "$" in value:
                pieces += _pieces(referred, value, texts, depth + 1, budget)
            else:
                # At least 1, because a great many empty values need time, too.
                budget.take(len(value) + 1)
                pieces.append(value)
            text = after[len(match[0]) - 1 :]
        else:
            pieces.append(dollar)
            text = after.removeprefix("$")
    return pieces
