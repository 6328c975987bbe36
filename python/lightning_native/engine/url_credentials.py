"""Credentials in URLs: where they stand in a text, so that they are refused or not shown.

A URL has them before its host, `https://user:token@host`, or in its query, `?token=…`. Written out they would be kept
wherever the text is: in the plan, in logs, in process lists. A variable, `https://${TOKEN}@host`, is none: its value
travels as all secrets do.
"""

import re
from collections.abc import Iterable

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_USER_INFO = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<info>[^\s/?#\"'<>]*)@")
_QUERY_SECRET = re.compile(
    r"(?P<name>[?&#;][\w.-]*(?:token|secret|passw(?:or)?d|signature|sig|api[_-]?key|access[_-]?key|credential)[\w.-]*=)"
    r"(?P<value>[^\s&#;\"'<>]+)",
    re.IGNORECASE,
)
# A name alone is no secret, but services take a token in its place.
_LIKE_A_TOKEN = re.compile(r"(gh[opsur]_|github_pat_|gl[a-z]+-|hf_|pypi-|sk-|AKIA|ATATT).*|[A-Za-z0-9_\-.=]{20,}")
# Of `git@host` and the like nobody asks a password.
_HIDDEN = "***"


def without_credentials(text: str) -> str:
    """Return a text in which no URL has credentials, to be shown; variables stay."""

    def masked(match: re.Match[str]) -> str:
        user, colon, password = match["info"].partition(":")
        user = _HIDDEN if _is_token(user) else user
        password = _HIDDEN if _is_literal(password) else password
        return f"{match['scheme']}://{user}{colon}{password}@"

    text = _USER_INFO.sub(masked, text)
    return _QUERY_SECRET.sub(
        lambda match: match["name"] + (_HIDDEN if _is_literal(match["value"]) else match["value"]), text
    )


def has_credentials(text: str) -> bool:
    """Tell whether a URL in a text has credentials that are written out."""
    return without_credentials(text) != text


def variables_in(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the variables, `${NAME}`, that texts refer to, each once, in their order."""
    return tuple(dict.fromkeys(match[1] for text in texts for match in VARIABLE.finditer(text)))


def credential_variables(texts: Iterable[str]) -> frozenset[str]:
    """Return the names of the variables that stand for credentials in the URLs of texts."""
    found: set[str] = set()
    for text in texts:
        for match in _USER_INFO.finditer(text):
            found |= {variable[1] for variable in VARIABLE.finditer(match["info"])}
        for match in _QUERY_SECRET.finditer(text):
            found |= {variable[1] for variable in VARIABLE.finditer(match["value"])}
    return frozenset(found)


def _is_literal(text: str) -> bool:
    return VARIABLE.sub("", text).strip("$") != ""


def _is_token(user: str) -> bool:
    return _LIKE_A_TOKEN.fullmatch(VARIABLE.sub("", user)) is not None
