"""Credentials in URLs: found in a text, so that they are refused or hidden.

A URL has them before its host, `https://user:token@host`, or in its query, `?token=…`. Written out, they would be kept
with the text: in the plan, in logs, in process lists. A variable, `https://${TOKEN}@host`, is no credential,
because its value travels as every secret does.
"""

import re
from collections.abc import Iterable, Mapping

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SHELL_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
# The bounds keep the time linear for long texts without a URL.
_USER_INFO = re.compile(r"(?<![A-Za-z0-9+.-])(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30})://(?P<info>[^\s/?#\"'<>]*)@")
_QUERY_SECRET = re.compile(
    r"(?P<name>[?&#](?:[\w.-]{0,64}[_.-])?(?:(?:access|auth|private|security|id)?token|(?:client)?secret|password|passwd|"
    r"signature|sig|(?:api|access)[_-]?key|credential)s?=)(?P<value>[^\s&#;\"'<>]+)",
    re.IGNORECASE,
)
# A name alone is no secret, as in `git@host`, but services accept a token in its place.
_LIKE_A_TOKEN = re.compile(r"(gh[opsur]_|github_pat_|gl[a-z]{2,6}-|hf_|pypi-|AKIA|ATATT).*|(?=.*\d)[A-Za-z0-9_=]{20,}")
_HIDDEN = "***"
# In the name of a variable.
LIKE_A_SECRET = re.compile(r"SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIAL", re.IGNORECASE)
# A value under another name that is as long as this, and neither a path nor words, may be one, too.
_SHORTEST_SECRET, _SHORTEST_UNNAMED = 4, 16

_SECRET_ARGUMENT = re.compile(
    r"(?:(?<![\w-])--?[\w-]{0,40}(?:password|passwd|token|secret|api-?key)[= ]"
    r"|\b[A-Z_]{0,40}(?:PASSWORD|TOKEN|SECRET|API_?KEY)=)"
    # Not followed by a variable, nothing, another option, or a word that is no secret.
    r"(?![\"']?(?:\$|$|-|(?:true|false|yes|no|on|off|auto|none|null|[01])\b))",
    re.IGNORECASE,
)


def secret_argument(command: str) -> str | None:
    """Return the prefix of a probable secret in a command, `--password ` or `TOKEN=`; None if there is none."""
    found = _SECRET_ARGUMENT.search(command)
    return found[0] if found else None


def without_credentials(text: str) -> str:
    """Return a text with the credentials in its URLs replaced by stars; variables stay."""

    def masked(match: re.Match[str]) -> str:
        user, colon, password = match["info"].partition(":")
        user = _HIDDEN if _is_token(user) else user
        password = _HIDDEN if _is_literal(password) else password
        return f"{match['scheme']}://{user}{colon}{password}@"

    text = _USER_INFO.sub(masked, text)
    return _QUERY_SECRET.sub(
        lambda match: match["name"] + (_HIDDEN if _is_literal(match["value"]) else match["value"]), text
    )


def without_secrets(text: str, variables: Mapping[str, str]) -> str:
    """Return a text without the credentials in its URLs, and without what may be secret of some variables' values."""
    text = without_credentials(text)
    secrets = [
        value
        for name, value in variables.items()
        if (LIKE_A_SECRET.search(name) and len(value) >= _SHORTEST_SECRET)
        or (len(value) >= _SHORTEST_UNNAMED and not re.search(r"[/\s]", value))
    ]
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, _HIDDEN)
    return text


def refusal(what: str, text: str) -> str:
    """Return the error message about a text with credentials written out."""
    place = next((line.strip() for line in text.splitlines() if has_credentials(line)), text)
    return (
        f"{what} has credentials written out in {without_credentials(place)!r}; write a variable in their place, as in "
        "https://${TOKEN}@host, and give it its value in env (or, for a job, as a secret of the teamspace)"
    )


def has_credentials(text: str) -> bool:
    """Return whether a URL in a text has credentials that are written out."""
    return without_credentials(text) != text


def variables_in(texts: Iterable[str], *, bare: bool = False) -> tuple[str, ...]:
    """Return the names of the variables in texts, `${NAME}`, each once, in their order.

    With `bare`, a shell's spelling `$NAME` counts as well.
    """
    pattern = _SHELL_VARIABLE if bare else VARIABLE
    return tuple(dict.fromkeys(match[1] for text in texts for match in pattern.finditer(text)))


def credential_variables(texts: Iterable[str]) -> frozenset[str]:
    """Return the names of the variables that are credentials in the URLs of texts."""
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
