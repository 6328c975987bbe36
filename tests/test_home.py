"""The folder of our own files, for a user without a home, or with the home of another user."""

import pwd
from pathlib import Path

import pytest

from lightning_native.errors import CredentialsError, LightningNativeError
from lightning_native.home import home
from lightning_native.lightning.credentials import Credentials


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user as in a container: without HOME, and without an entry in /etc/passwd."""

    def unknown(_uid: int) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("homeless")
def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(LightningNativeError, match=r"home is not known: .* Set LIGHTNING_NATIVE_HOME to a folder"):
        home()
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "ours"))
    assert home() == tmp_path / "ours"
    monkeypatch.delenv("LIGHTNING_NATIVE_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert home() == tmp_path / "data" / "lightning-native"


@pytest.mark.usefixtures("homeless")
def test_a_user_without_a_home_has_no_file_of_lightning_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIGHTNING_CREDENTIAL_PATH", raising=False)
    with pytest.raises(CredentialsError, match="LIGHTNING_API_KEY"):
        Credentials().environ()


def test_a_home_that_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LIGHTNING_NATIVE_HOME", str(tmp_path / "file" / "ours"))
    with pytest.raises(LightningNativeError, match=r"cannot make .*ours: Not a directory; set LIGHTNING_NATIVE_HOME"):
        home()
