"""The file with the API key of a local cloud, which only its owner can read."""

import secrets
from pathlib import Path

from lightning_native.errors import EmulatorError

# Our keys have 43 characters; a key of the user's choice must be hard to guess, too.
_MIN_KEY_LENGTH = 16


def read_or_create_key(path: Path) -> str:
    """Return the API key in a file that only its owner can read; a new random one where there is none.

    Raises:
        EmulatorError: the file cannot be read, or has no key, so that every client would be let in.

    """
    if path.exists():
        hint = f"delete {path} and start again: the local cloud then has a new key"
        try:
            key = path.read_text(encoding="ascii").strip()
        except OSError as error:
            raise EmulatorError(f"cannot read the key in {path}: {error.strerror}; {hint}") from error
        except UnicodeDecodeError:
            key = ""
        if len(key) < _MIN_KEY_LENGTH or not all(character.isalnum() or character in "-_" for character in key):
            raise EmulatorError(f"{path} has no key of a local cloud; {hint}")
        return key
    key = secrets.token_urlsafe(32)
    partial = path.with_suffix(".new")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_text(key + "\n")
    partial.rename(path)
    return key
