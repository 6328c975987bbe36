"""The credentials with which this process or a child process signs in to Lightning."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lightning_native.errors import CredentialsError

_SECRETS = ("LIGHTNING_API_KEY", "LIGHTNING_AUTH_TOKEN", "LIGHTNING_USER_ID")


@dataclass(frozen=True)
class Credentials:
    """An account and a teamspace. Secret values never appear in `repr`."""

    user_id: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    auth_token: str | None = field(default=None, repr=False)
    username: str | None = None
    organization: str | None = None
    teamspace: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Credentials":
        """Read the variables that the SDK reads."""
        return cls(
            user_id=environment.get("LIGHTNING_USER_ID") or None,
            api_key=environment.get("LIGHTNING_API_KEY") or None,
            auth_token=environment.get("LIGHTNING_AUTH_TOKEN") or None,
            username=environment.get("LIGHTNING_USERNAME") or None,
            organization=environment.get("LIGHTNING_ORG") or None,
            teamspace=environment.get("LIGHTNING_TEAMSPACE") or None,
        )

    def or_else(self, other: "Credentials") -> "Credentials":
        """Fill missing values from `other`; an owner named here is never combined with another's."""
        owned = bool(self.username or self.organization)
        return Credentials(
            user_id=self.user_id or other.user_id,
            api_key=self.api_key or other.api_key,
            # The SDK prefers a token to a key, so a key that is named here excludes the other's token.
            auth_token=self.auth_token or (None if self.api_key else other.auth_token),
            username=self.username if owned else other.username,
            organization=self.organization if owned else other.organization,
            teamspace=self.teamspace or other.teamspace,
        )

    def environ(self, settings: str = "") -> dict[str, str]:
        """Return the variables of a child process that signs in.

        Args:
            settings: the settings in which a user can set a missing value, for the error message.

        Raises:
            CredentialsError: a value is missing, or a file is damaged; the message names each, and the remedy.

        """
        missing = []
        kept = Path(os.environ.get("LIGHTNING_CREDENTIAL_PATH") or credentials_file(_user_home()))
        if self.api_key and not self.auth_token and not self.user_id:
            missing.append("user_id (LIGHTNING_USER_ID)")
        elif not self.api_key and not self.auth_token and not _is_complete(kept):
            missing += ["api_key (LIGHTNING_API_KEY)"] + ([] if self.user_id else ["user_id (LIGHTNING_USER_ID)"])
        if not self.username and not self.organization:
            missing.append("username (LIGHTNING_USERNAME) or organization (LIGHTNING_ORG)")
        if not self.teamspace:
            missing.append("teamspace (LIGHTNING_TEAMSPACE)")
        if missing:
            where = f"in {settings}, or " if settings else ""
            raise CredentialsError(
                f"Lightning credentials are incomplete: {', '.join(missing)} not set. "
                f"Set them {where}as the environment variables in parentheses; "
                "the key and the user id are on your Lightning profile under Keys"
            )
        named = {
            "LIGHTNING_USER_ID": self.user_id,
            "LIGHTNING_API_KEY": self.api_key,
            "LIGHTNING_AUTH_TOKEN": self.auth_token,
            # The SDK searches for a named user even if an organization is named, too.
            "LIGHTNING_USERNAME": None if self.organization else self.username,
            "LIGHTNING_ORG": self.organization,
            "LIGHTNING_TEAMSPACE": self.teamspace,
        }
        given = {name: value for name, value in named.items() if value}
        for name, value in given.items():
            _check(name, value, secret=name in _SECRETS)
        return given


def _check(name: str, value: str, *, secret: bool) -> None:
    """Refuse a value that cannot be part of a request, because the later error might show it.

    Raises:
        CredentialsError: a value has a blank around it, or a character that a line cannot have.
    """
    if value != value.strip() or not value.isprintable() or (secret and not value.isascii()):
        shown = "" if secret else f" ({value[:60]!a})"
        raise CredentialsError(
            f"{name}{shown} has a line end, a blank around it or another character that it cannot have; set it without"
        )


def _user_home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        # A container's user may have no home. This folder does not exist; Debian's `nobody` has it, too.
        return Path("/nonexistent")


def _is_complete(file: Path) -> bool:
    """Return whether a file of `lightning login` is complete; False if there is none.

    Raises:
        CredentialsError: the file is damaged.
    """
    # Not `exists`, which fails if the folder is another user's.
    if not os.access(file, os.F_OK):
        return False
    if not file.is_file():
        raise CredentialsError(_damaged(file, "it is no regular file"))
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise CredentialsError(_damaged(file, str(problem))) from None
    if not isinstance(kept, dict) or not (kept.get("auth_token") or (kept.get("api_key") and kept.get("user_id"))):
        raise CredentialsError(_damaged(file, "it has no key with a user id"))
    return True


def _damaged(file: Path, problem: str) -> str:
    return (
        f"the Lightning credentials in {file} cannot be used: {problem}; write them again with: lightning login, or "
        "set LIGHTNING_API_KEY and LIGHTNING_USER_ID"
    )


def credentials_file(user_home: Path) -> Path:
    """Return the path of the file in which `lightning login` keeps a user's key."""
    return user_home / ".lightning" / "credentials.json"
