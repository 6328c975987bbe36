"""Credentials for the installation of requirements: removed from their URLs, and passed to the installer in files.

An installer prints URLs, passes them to Git as arguments, and records them. So it gets `https://host/…`, and reads the
credentials from a netrc file and from Git's own store, in a folder that is removed when the installer has ended.
Requirements hold credentials as variables, `https://${USER}:${TOKEN}@host/…`. The files are written on the machine on
which the variables have their values.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from shlex import quote

from lightning_native.user_input.url_credentials import LIKE_A_SECRET, VARIABLE, credential_variables

_URL = re.compile(r"(?P<git>git\+)?(?P<scheme>https?)://(?P<info>[^\s/?#\"'<>]*)@(?P<host>[^\s/?#\"'<>@]+)")
_MAKE_FILES = r"""
import json, os, re, sys
from urllib.parse import unquote

def value(text):
    return re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match[1], match[0]), text)

def quoted(text):
    if re.fullmatch(r"[\w.~+/=-]+", text):
        return text
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')

folder, entries = sys.argv[1], json.loads(sys.argv[2])
with open(os.path.join(folder, "netrc"), "w") as netrc, open(os.path.join(folder, "git"), "w") as git:
    for entry in entries:
        user, password = value(entry["user"]), value(entry["password"])
        if entry["git"]:
            git.write("%s://%s:%s@%s\n" % (entry["scheme"], user, password, entry["host"]))
        else:
            host = entry["host"].partition(":")[0]
            netrc.write("machine %s login %s password %s\n" % (host, *map(quoted, map(unquote, (user, password)))))
    try:
        netrc.write(open(os.path.expanduser(os.environ.get("NETRC") or "~/.netrc")).read())
    except OSError:
        pass
"""
# A subshell, so that its exports end with it. With -I, Python imports no module from the code's folder.
_BEGIN = """\
(
private=$(mktemp -d)
trap 'rm -rf "$private"' EXIT
trap 'exit 143' HUP INT TERM
python3 -I -c {program} "$private" {entries}
count=${{GIT_CONFIG_COUNT:-0}}
export NETRC="$private/netrc" GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=$((count + 1))
export "GIT_CONFIG_KEY_$count=credential.helper" "GIT_CONFIG_VALUE_$count=store --file='$private/git'\""""
_END = ")"
# A shorter secret is in every output by chance.
_SHORTEST_SECRET = 4
_LONGEST_SECRET = 16 * 1024


@dataclass(frozen=True)
class InstallCredentials:
    """Requirements without the credentials of their URLs, and the commands around their installation.

    Attributes:
        requirements: the text of a requirements file.
        before: shell lines that write the installer's credentials; empty if it needs none.
        after: shell lines that remove the credentials.
    """

    requirements: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @classmethod
    def of(cls, requirements: str) -> "InstallCredentials":
        """Remove the credentials from the text of a requirements file."""
        known: dict[tuple[bool, str], dict[str, object]] = {}

        def without(match: re.Match[str]) -> str:
            user, _, password = match["info"].partition(":")
            if not VARIABLE.search(match["info"]) or not (password or match["git"]):
                return match[0]
            entry: dict[str, object] = {
                "git": bool(match["git"]),
                "scheme": match["scheme"],
                "host": match["host"],
                "user": user,
                "password": password,
            }
            host = match["host"] if match["git"] else match["host"].partition(":")[0]
            if known.setdefault((bool(match["git"]), host), entry) != entry:
                # These files hold one account a host. The installer itself replaces the variables of the others.
                return match[0]
            return f"{match['git'] or ''}{match['scheme']}://{match['host']}"

        text = _URL.sub(without, requirements)
        if not known:
            return cls(requirements)
        entries = json.dumps(list(known.values()))
        before = _BEGIN.format(program=quote(_MAKE_FILES), entries=quote(entries))
        return cls(text, (before,), (_END,))


class Masked:
    """A filter of output that replaces secrets by stars of the same length; `feed` it everything, then `end` it."""

    def __init__(self, secrets: Iterable[str]) -> None:
        values = sorted(
            {secret.encode() for secret in secrets if _SHORTEST_SECRET <= len(secret) <= _LONGEST_SECRET},
            key=len,
            reverse=True,
        )
        self._secrets = values
        self._pattern = re.compile(b"|".join(map(re.escape, values))) if values else None
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the output that can be shown by now: the end is kept back if it may be the beginning of a secret."""
        if self._pattern is None:
            return data
        text = self._pattern.sub(lambda match: b"*" * len(match[0]), self._rest + data)
        kept = max(
            (length for secret in self._secrets for length in range(1, len(secret)) if text.endswith(secret[:length])),
            default=0,
        )
        self._rest = text[len(text) - kept :]
        return text[: len(text) - kept]

    def end(self) -> bytes:
        """Return the remaining output."""
        rest, self._rest = self._rest, b""
        return rest


def secret_values(variables: Mapping[str, str], texts: Iterable[str]) -> list[str]:
    """Return the values of the variables that are secrets, by their place in URLs of `texts` or by their names."""
    in_urls = credential_variables(texts)
    return [value for name, value in variables.items() if name in in_urls or LIKE_A_SECRET.search(name)]
