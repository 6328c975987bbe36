"""The aliases of `python`, `pip` and `uv` in a studio, which refuse to work until the studio is set up."""

from pathlib import Path
from shlex import quote

NAMES = ("python", "python3", "pip", "pip3", "uv")
# The platform's words. Its exit code is not known.
_REFUSAL = (
    "Error: We are still setting things up for you, please try again after the progress bar at the top of the Studio "
    "disappears."
)
_CODE = 1
# Without its own folder on the path, an alias finds the command that it stands for.
_ALIAS = """#!/bin/sh
{refusal}
rest=:$PATH:
while :; do
  case $rest in
    *:{folder}:*) rest="${{rest%%:{folder}:*}}:${{rest#*:{folder}:}}" ;;
    *) break ;;
  esac
done
rest=${{rest#:}}
PATH=${{rest%:}}
export PATH
exec {name} "$@"
"""


def refusal(marker: str) -> str:
    """Return the line of a shell script that refuses to work while there is a file."""
    return f"if [ -e {quote(marker)} ]; then echo {quote(_REFUSAL)}; exit {_CODE}; fi"


def write(folder: Path, marker: Path) -> None:
    """Write the aliases that refuse to work while there is a file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        alias = folder / name
        alias.write_text(_ALIAS.format(refusal=refusal(str(marker)), folder=quote(str(folder)), name=name))
        alias.chmod(0o755)
