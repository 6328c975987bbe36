"""Accounts in URLs, for Git and pip in files, because both show URLs in their arguments and their output."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shlex
import shutil
import tempfile
import urllib.request
from urllib.parse import unquote

from .errors import DriverError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

URL = re.compile(r"(?P<git>git\+)?(?P<scheme>https?)://(?P<account>[^/?#\s]*)@(?P<host>[^/?#\s@]+)")
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expanded(text: str) -> str:
    """Return a text with its variables, `${NAME}`, replaced by their values.

    Raises:
        DriverError: one of them is not set.
    """

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise DriverError(f"the job has no variable {match[1]}, which a URL of it needs")
        return os.environ[match[1]]

    return VARIABLE.sub(value_of, text)


def hidden(text: str) -> str:
    """Return a text for people, without the accounts and queries of its URLs."""
    return re.sub(r"(://[^\s?]*)\?\S*", r"\1?***", re.sub(r"://[^/\s]*@", "://***@", text))


def request_of(url: str) -> urllib.request.Request:
    """Return the request for a URL of the web; its account goes to its own host only."""
    match = URL.match(url)
    if match is None:
        return urllib.request.Request(url)  # noqa: S310  the caller has looked at its scheme
    bare = f"{match['scheme']}://{match['host']}{url[match.end() :]}"
    request = urllib.request.Request(bare)  # noqa: S310  as above
    user, _, password = match["account"].partition(":")
    account = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    request.add_unredirected_header("Authorization", f"Basic {account}")
    return request


@contextlib.contextmanager
def without_accounts(words: Sequence[str]) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Yield words with the accounts removed from their URLs, and variables by which Git and pip find the accounts."""
    folder = tempfile.mkdtemp(prefix="lightning-native-")
    git, netrc = os.path.join(folder, "git"), os.path.join(folder, "netrc")
    lines, machines = [], []

    def without(match: re.Match[str]) -> str:
        account = expanded(match["account"])
        user, _, password = account.partition(":")
        lines.append(f"{match['scheme']}://{user}:{password}@{match['host']}\n")
        host = match["host"].partition(":")[0]
        machines.append(f"machine {host} login {quoted(unquote(user))} password {quoted(unquote(password))}\n")
        return f"{match['git'] or ''}{match['scheme']}://{match['host']}"

    try:
        bare = [URL.sub(without, word) for word in words]
        for path, content in ((git, lines), (netrc, machines)):
            with open(path, "w") as stream:
                stream.writelines(content)
        count = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        variables = {
            "NETRC": netrc,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": str(count + 1),
            f"GIT_CONFIG_KEY_{count}": "credential.helper",
            f"GIT_CONFIG_VALUE_{count}": f"store --file={shlex.quote(git)}",
        }
        yield bare, variables if machines else {}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def quoted(text: str) -> str:
    """Return a text as a netrc file spells it."""
    if re.fullmatch(r"[\w.~+/=-]+", text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
