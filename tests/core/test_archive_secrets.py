"""Secrets that people have in their folders stay out of archives."""

import json
import os
import tarfile

import pytest

from lightning_native import create_archive, select_files
from lightning_native.cli import main

# Parts from which keys are built, so that this file holds no key.
_BEGIN, _END = "-----BEGIN {}-----\n", "-----END {}-----\n"


def key(kind):
    return _BEGIN.format(kind) + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n" + _END.format(kind)


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a.py").write_text("a = 1\n")
    return root


def put(root, path, content="x"):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize("where", ["", "sub/", "sub/deep/er/"])
@pytest.mark.parametrize(
    "path",
    [
        ".ansible-vault-pass",
        ".aws/config",
        ".azure/msal_token_cache.json",
        ".boto",
        ".cache/huggingface/token",
        ".cargo/credentials",
        ".cargo/credentials.toml",
        ".config/gcloud/credentials.db",
        ".config/gh/hosts.yml",
        ".config/pip/pip.conf",
        ".config/rclone/rclone.conf",
        ".config/zenml/credentials.yaml",
        ".databrickscfg",
        ".dbt/profiles.yml",
        ".docker/config.json",
        ".gem/credentials",
        ".huggingface/token",
        ".kaggle/access_token",
        ".kube/config",
        ".lightning/credentials.json",
        ".m2/settings.xml",
        ".modal.toml",
        ".my.cnf",
        ".netrc",
        ".npmrc",
        ".oci/config",
        ".pypirc",
        ".s3cfg",
        ".snowflake/config.toml",
        ".streamlit/secrets.toml",
        ".terraform.d/credentials.tfrc.json",
        ".vault-token",
        "application_default_credentials.json",
        "kaggle.json",
        "kubeconfig",
        # A file system that ignores case finds these by the names above.
        "ID_RSA",
        ".Aws/credentials",
        ".DOCKER/Config.json",
        "store.P12",
        ".ENV",
        ".Env.Production",
    ],
)
def test_what_tools_keep_credentials_in_stays_out_at_any_depth(tree, where, path):
    put(tree, where + path)
    selection = select_files(tree)
    assert selection.files == ["a.py"]
    assert all(reason.startswith("built-in rule: secret: ") for _, reason in selection.excluded)
    assert select_files(tree, include=[f"/{where}{path}"]).files == sorted(["a.py", where + path])


@pytest.mark.parametrize(
    "path",
    [
        ".lightning/workflows/train.yaml",
        ".lightning/settings.json",
        ".docker/Dockerfile",
        ".cargo/config.toml",
        ".streamlit/config.toml",
        ".config/app.toml",
        ".env.example",
        "config.json",
        "token",
        "credentials.toml",
        "huggingface/token.py",
        "kubeconfig/__init__.py",
        "gh/hosts.yml",
        "profiles.yml",
        "id_rsa.pub",
        "xkaggle.json",
        ".awsome/x",
        "Node_Modules/x",
    ],
)
def test_what_is_only_called_alike_goes_in(tree, path):
    put(tree, path)
    assert path in select_files(tree).files


_KEYS = {
    "PKCS#8": key("PRIVATE KEY"),
    "encrypted": key("ENCRYPTED PRIVATE KEY"),
    "RSA": key("RSA PRIVATE KEY"),
    "EC": key("EC PRIVATE KEY"),
    "OpenSSH": key("OPENSSH PRIVATE KEY"),
    "PGP": key("PGP PRIVATE KEY BLOCK"),
    "after blanks": "\n\n  \t" + key("RSA PRIVATE KEY"),
    "after a byte order mark": "\ufeff" + key("RSA PRIVATE KEY"),
    "after both": "\ufeff\n" + key("RSA PRIVATE KEY"),
    "of Windows": key("RSA PRIVATE KEY").replace("\n", "\r\n"),
    "in UTF-16": key("RSA PRIVATE KEY").encode("utf-16"),
    "with certificates after it": key("PRIVATE KEY") + key("CERTIFICATE") * 3000,
    "after its attributes": "Bag Attributes\n    localKeyID: 01 02\nKey Attributes: <No Attributes>\n"
    + key("PRIVATE KEY"),
    "PuTTY": "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n",
    "age": "# created: 2026-01-01T00:00:00Z\n# public key: age1x\nAGE-SECRET-KEY-1QQQQQQQQQQQQQQ\n",
    "minisign": "untrusted comment: minisign encrypted secret key\nRWRTY0Iy\n",
    "SSH2": "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nxxxxxxxxxx\n",
}
_ACCOUNTS = {
    "service": json.dumps({"type": "service_account", "project_id": "p", "private_key": key("PRIVATE KEY")}, indent=2),
    "service, in another order": json.dumps(
        {"private_key": key("PRIVATE KEY"), "x": "y" * 900, "type": "service_account"}
    ),
    "service, in few bytes": '{"type":"service_account","private_key":"x"}',
    "user": json.dumps({"client_id": "c", "refresh_token": "1//x", "type": "authorized_user"}),
}


@pytest.mark.parametrize("name", ["deploy", "notes.txt", "sub/main.py", "a.pub", "ü"])
@pytest.mark.parametrize("content", [*_KEYS.values(), *_ACCOUNTS.values()], ids=[*_KEYS, *_ACCOUNTS])
def test_what_begins_as_a_secret_stays_out_whatever_its_name(tree, tmp_path, name, content):
    put(tree, name, content)
    kind = "private key" if content in _KEYS.values() else "cloud credentials"
    selection = select_files(tree)
    assert selection.files == ["a.py"]
    assert selection.excluded == [(name, f"built-in rule: secret: {kind} (by its content)")]
    # An archive detects the secret while it reads the file.
    report = create_archive(tree, tmp_path / "a.tar.gz")
    assert report.files == 1
    assert report.excluded == selection.excluded
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        assert archive.getnames() == ["a.py"]


@pytest.mark.parametrize(
    "content",
    [
        key("CERTIFICATE"),
        key("PUBLIC KEY"),
        key("PGP PUBLIC KEY BLOCK"),
        "# How to make a key\n\n```\n" + key("RSA PRIVATE KEY") + "```\n",
        'KEY = """' + key("RSA PRIVATE KEY") + '"""\n',
        '{"type": "service_account", "note": "only a template"}',
        '{"kind": "service_account", "private_key_id": "1", "padding": "xxxxxxxxxxxxxxxx"}',
        "-----BEGIN " + "x" * 100_000,
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI user@host\n",
    ],
)
def test_what_only_speaks_of_secrets_goes_in(tree, content):
    put(tree, "b.md", content)
    assert select_files(tree).files == ["a.py", "b.md"]


@pytest.mark.parametrize("name", ["server.pem", "SERVER.PEM", "tls.key", "tls.Crt"])
def test_a_key_after_its_certificate_stays_out_of_what_is_called_a_key_file(tree, name):
    put(tree, name, key("CERTIFICATE") * 100 + key("RSA PRIVATE KEY"))
    put(tree, "ca.pem", key("CERTIFICATE"))
    assert select_files(tree).files == ["a.py", "ca.pem"]


def test_a_secret_that_is_asked_for_goes_in(tree, tmp_path):
    put(tree, "deploy", key("PRIVATE KEY"))
    assert select_files(tree, include=["deploy"]).files == ["a.py", "deploy"]
    assert create_archive(tree, tmp_path / "a", include=["deploy"]).files == 2
    put(tree, ".lightningignore", "!deploy\n")
    assert "deploy" in select_files(tree).files
    # The inclusion of a folder does not include the secrets in it.
    (tree / ".lightningignore").unlink()
    put(tree, "sub/deploy", key("PRIVATE KEY"))
    assert "sub/deploy" not in select_files(tree, include=["sub"]).files


def test_a_secret_that_was_asked_for_once_is_not_taken_from_the_cache_later(tree, tmp_path):
    put(tree, "deploy", key("PRIVATE KEY"))
    for path in tree.iterdir():
        os.utime(path, (1_600_000_000, 1_600_000_000))
    cache = tmp_path / "cache"
    for _ in range(2):
        assert create_archive(tree, tmp_path / "a", include=["deploy"], cache=cache).files == 2
    for _ in range(2):
        assert create_archive(tree, tmp_path / "b", cache=cache).files == 1
    create_archive(tree, tmp_path / "c")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()
    # The cache keeps no secret that is excluded, either.
    create_archive(tree, tmp_path / "d", cache=tmp_path / "other", level=0)
    assert not any(b"MIIEvQ" in path.read_bytes() for path in (tmp_path / "other").iterdir())


def test_an_archive_of_many_files_finds_the_one_that_is_a_secret(tree, tmp_path):
    for number in range(300):
        put(tree, f"sub/{number}.bin", os.urandom(20_000))
    put(tree, "sub/299.bin", key("OPENSSH PRIVATE KEY"))
    report = create_archive(tree, tmp_path / "a.tar.gz")
    assert report.files == 300
    assert [path for path, _ in report.excluded] == ["sub/299.bin"]
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        assert "sub/299.bin" not in archive.getnames()
        assert len(archive.getnames()) == 300


def test_the_reason_is_explained(tree, capsys):
    put(tree, "deploy", key("PRIVATE KEY"))
    put(tree, "sub/.docker/config.json")
    for path, reason in {
        "deploy": "secret: private key (by its content)",
        "sub/.docker/config.json": "secret: registry token (.docker/config.json)",
    }.items():
        assert main(["archive", str(tree), "--explain", path]) == 0
        assert f"{path}: stays out: built-in rule: {reason}" in capsys.readouterr().out
