import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from lightning_native import create_archive, select_files
from lightning_native.cli import main
from lightning_native.errors import ArchiveError


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    return root


def put(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def git(root, *arguments):
    settings = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "protocol.file.allow=always"]
    subprocess.run(["git", *settings, *arguments], cwd=root, check=True, capture_output=True)


def test_outside_of_git_ignore_files_decide(tree):
    put(tree, "a.py", "b.log", "sub/c.log", "sub/d", "e.tmp", "f.bak")
    (tree / ".gitignore").write_text("*.log\n")
    (tree / "sub/.gitignore").write_text("!c.log\n")
    (tree / ".ignore").write_text("*.tmp\n")
    (tree / ".lightningignore").write_text("*.bak\n")
    selection = select_files(tree)
    assert selection.files == [
        ".gitignore",
        ".ignore",
        ".lightningignore",
        "a.py",
        "sub/.gitignore",
        "sub/c.log",
        "sub/d",
    ]
    assert selection.excluded == [
        ("b.log", ".gitignore:1: *.log"),
        ("e.tmp", ".ignore:1: *.tmp"),
        ("f.bak", ".lightningignore:1: *.bak"),
    ]
    assert "b.log" in select_files(tree, ignore_files=False).files


def test_in_a_checkout_tracked_files_go_in_even_if_ignored(tree):
    git(tree, "init", "-q")
    put(tree, "kept.log", "data/kept.bin", "data/new.bin", "new.py", "new.log")
    (tree / ".gitignore").write_text("*.log\ndata/\n")
    git(tree, "add", "-f", "kept.log", "data/kept.bin", ".gitignore")
    selection = select_files(tree)
    assert selection.files == [".gitignore", "data/kept.bin", "kept.log", "new.py"]
    assert ("data/new.bin", ".gitignore:2: data/") in selection.excluded
    assert ("new.log", ".gitignore:1: *.log") in selection.excluded
    assert (".git/", "built-in rule: version control data (.git)") in selection.excluded


def test_a_folder_of_a_checkout_keeps_the_rules_of_its_parents(tree):
    git(tree, "init", "-q")
    put(tree, "code/a.py", "code/b.log", "code/gone.py")
    (tree / ".gitignore").write_text("/code/*.log\n")
    git(tree, "add", "code/gone.py")
    (tree / "code/gone.py").unlink()
    selection = select_files(tree / "code")
    assert selection.files == ["a.py"]
    assert ("gone.py", "tracked by git, but not on disk") in selection.excluded


def test_submodules_and_checkouts_inside_have_their_own_rules(tmp_path, tree):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    put(other, "lib.py", "x.log")
    git(other, "add", ".")
    git(other, "commit", "-qm", "m")
    git(tree, "init", "-q")
    (tree / ".gitignore").write_text("*.log\n")
    git(tree, "submodule", "--quiet", "add", str(other), "vendored")
    git(tree, "submodule", "--quiet", "add", str(other), "empty")
    git(tree, "submodule", "--quiet", "deinit", "-f", "empty")
    put(tree, "nested/own.log")
    git(tree / "nested", "init", "-q")
    selection = select_files(tree)
    assert {"vendored/lib.py", "vendored/x.log", "nested/own.log"} <= set(selection.files)
    assert any(path == "empty/" and "not checked out" in reason for path, reason in selection.excluded)


def test_caches_environments_and_secrets_stay_out_and_say_so(tree):
    secrets = [".env", ".env.local", "id_rsa", "sub/id_ed25519", ".netrc"]
    put(tree, *secrets, ".env.example", "__pycache__/a.pyc", ".venv/x", ".zen/y", "node_modules/z", "env/bin/python")
    put(tree, "env/pyvenv.cfg", "cacert.pem")
    (tree / "server.pem").write_text("-----BEGIN RSA PRIVATE KEY-----\n")
    selection = select_files(tree)
    assert selection.files == [".env.example", "cacert.pem"]
    reasons = dict(selection.excluded)
    assert all("secret" in reasons[path] for path in [*secrets, "server.pem"])
    folders = {".venv/", "__pycache__/", ".zen/", "node_modules/", "env/"}
    assert folders <= set(reasons)
    assert all(reasons[path].startswith("built-in rule: ") for path in folders)


def test_secrets_stay_out_even_if_tracked_unless_asked_for(tree):
    git(tree, "init", "-q")
    put(tree, ".env", "a")
    git(tree, "add", "-f", ".")
    assert select_files(tree).files == ["a"]
    assert select_files(tree, include=[".env"]).files == [".env", "a"]


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (["data/keep/x.bin"], ["a", "data/keep/x.bin"]),
        (["/data/keep"], ["a", "data/keep/x.bin", "data/keep/y.bin"]),
        (["data"], ["a", "data/keep/x.bin", "data/keep/y.bin", "data/z.bin"]),
        (["x.bin"], ["a", "data/keep/x.bin"]),
        (["data/**/y.*"], ["a", "data/keep/y.bin"]),
        (["node_modules/m/i.js"], ["a", "node_modules/m/i.js"]),
    ],
)
def test_include_brings_back_anything(tree, include, expected):
    put(tree, "a", "data/keep/x.bin", "data/keep/y.bin", "data/z.bin", "node_modules/m/i.js", "node_modules/m/j.js")
    (tree / ".lightningignore").write_text("data/\n.lightningignore\n")
    if include == ["x.bin"]:  # a bare name matches below git's ignored folders, not below the caller's
        (tree / ".lightningignore").rename(tree / ".gitignore")
        (tree / ".gitignore").write_text("data/\n.gitignore\n")
    assert select_files(tree, include=include).files == expected


def test_lightningignore_has_the_last_word_also_in_a_checkout(tree):
    git(tree, "init", "-q")
    put(tree, "big.bin", "logs/a.log", ".env")
    (tree / ".gitignore").write_text("logs/\n")
    (tree / ".lightningignore").write_text("*.bin\n!logs/\n!.env\n")
    git(tree, "add", "big.bin")
    assert select_files(tree).files == [".env", ".gitignore", ".lightningignore", "logs/a.log"]


def test_exclude_keeps_out_and_include_wins_over_it(tree):
    put(tree, "a.py", "b.py", "sub/c.py")
    assert select_files(tree, exclude=["*.py"], include=["/b.py"]).files == ["b.py"]
    assert select_files(tree, exclude=["*.py", "!c.py"]).files == ["sub/c.py"]


def test_special_files_are_left_out_with_a_reason(tree):
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tree / "socket"))
    put(tree, "a")
    assert select_files(tree).excluded == [
        ("pipe", "a named pipe: it has no content to archive"),
        ("socket", "a socket: it has no content to archive"),
    ]


def test_every_kind_of_name_and_file_arrives(tree, tmp_path):
    names = [
        "my step.py",
        "café.py",
        "q\"uo'te",
        "new\nline",
        "tab\t",
        "long" * 60,
        "d/" * 60 + "deep",
        "-dash",
        "é" * 60,
    ]
    put(tree, *names)
    (tree / os.fsdecode(b"\xff\xfe")).write_text("bytes")
    (tree / "run.sh").write_text("x")
    (tree / "run.sh").chmod(0o700)
    (tree / "empty").mkdir()
    (tree / "link").symlink_to("my step.py")
    (tree / "broken").symlink_to("no" * 80)
    create_archive(tree, tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        members = {member.name: member for member in archive}
    assert sorted(members) == sorted([*names, os.fsdecode(b"\xff\xfe"), "run.sh", "empty", "link", "broken"])
    assert members["run.sh"].mode == 0o755
    assert members["my step.py"].mode == 0o644
    assert members["empty"].isdir()
    assert members["link"].linkname == "my step.py"
    assert members["broken"].linkname == "no" * 80
    assert {(member.uid, member.gid, member.uname, member.gname) for member in members.values()} == {(0, 0, "", "")}


def test_the_digest_is_that_of_the_uncompressed_archive_at_any_level(tree, tmp_path):
    put(tree, *(f"f{number}" for number in range(50)))
    (tree / "large").write_bytes(os.urandom(3_000_000) + bytes(3_000_000))
    contents = set()
    digests = set()
    for level in (0, 1, 6, 12):
        report = create_archive(tree, tmp_path / "a.tar.gz", level=level)
        digests.add(report.digest)
        contents.add(hashlib.sha256(gzip.decompress((tmp_path / "a.tar.gz").read_bytes())).digest())
        assert report.bytes_out == (tmp_path / "a.tar.gz").stat().st_size
        assert report.files == 51
        assert report.largest[0] == ("large", 6_000_000)
    assert len(digests) == len(contents) == 1
    assert len(digests.pop()) == 64


def test_the_archive_leaves_itself_out(tree):
    put(tree, "a")
    create_archive(tree, tree / "code.tar.gz")
    report = create_archive(tree, tree / "code.tar.gz")
    assert report.files == 1
    assert report.excluded == [("code.tar.gz", "this archive itself")]
    assert sorted(path.name for path in tree.iterdir()) == ["a", "code.tar.gz"]


def test_an_empty_tree_is_an_archive_of_nothing(tree, tmp_path):
    create_archive(tree, tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        assert archive.getnames() == []


def test_a_root_that_does_not_exist_is_one_clear_error_and_leaves_nothing(tmp_path, capsys):
    for root, problem in ((tmp_path / "gone", "No such file"), (__file__, "not a folder")):
        with pytest.raises(ArchiveError, match=problem):
            create_archive(root, tmp_path / "a.tar.gz")
    assert main(["archive", str(tmp_path / "gone"), "-o", str(tmp_path / "a.tar.gz")]) == 1
    assert capsys.readouterr().err.startswith("error: cannot archive")
    assert list(tmp_path.iterdir()) == []


def test_wrong_arguments_are_clear_errors(tree, tmp_path):
    with pytest.raises(ArchiveError, match="no compression level 13"):
        create_archive(tree, tmp_path / "a", level=13)
    with pytest.raises(ArchiveError, match="threads is 0"):
        create_archive(tree, tmp_path / "a", threads=0)
    with pytest.raises(ArchiveError, match="cannot write"):
        create_archive(tree, tmp_path / "gone/a")
    with pytest.raises(TypeError):
        create_archive(tree, tmp_path / "a", include="*.py")


def test_what_a_progress_callback_raises_stops_and_leaves_no_file(tree, tmp_path):
    put(tree, "a")
    calls = []
    create_archive(tree, tmp_path / "a.tar.gz", progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (1, 1)

    def stop(_done, _total):
        raise RuntimeError("enough")

    (tmp_path / "a.tar.gz").unlink()
    with pytest.raises(RuntimeError, match="enough"):
        create_archive(tree, tmp_path / "a.tar.gz", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_command_line_archives_lists_and_explains(tree, tmp_path, capsys):
    put(tree, "a.py", ".env", "sub/b.py", "node_modules/x")
    output = str(tmp_path / "a.tar.gz")
    assert main(["archive", str(tree), "-o", output, "--json"]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert result["files"] == 2
    assert {"bytes_in", "bytes_out", "seconds", "digest"} <= set(result)
    assert "left out: 2 paths" in printed.err
    assert main(["archive", str(tree), "-o", output, "--warn-size", "0"]) == 0
    assert "larger than 0 MB" in capsys.readouterr().err
    assert main(["archive", str(tree), "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == ["a.py", "sub/b.py"]
    for path, expected in {
        "a.py": "goes in: no rule keeps it out",
        "sub": "goes in: 1 selected files are in it",
        ".env": "stays out: built-in rule: secret: environment file (.env)",
        "node_modules/x": "stays out: built-in rule: installed JavaScript packages (node_modules/)",
        str(tree / "a.py"): "goes in",
    }.items():
        assert main(["archive", str(tree), "--explain", path]) == 0
        assert expected in capsys.readouterr().out
    assert main(["archive", str(tree), "--explain", "gone"]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_any_reader_of_several_members_reads_it(tree, tmp_path):
    (tree / "large").write_bytes(b"x" * 5_000_000)
    create_archive(tree, tmp_path / "a.tar.gz")
    content = gzip.decompress((tmp_path / "a.tar.gz").read_bytes())
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == ["large"]


@pytest.mark.parametrize(
    "reader",
    [
        "tar xzf - -C {out}",
        "bsdtar xzf - -C {out}",
        "busybox tar xzf - -C {out}",
        "gzip -dc | tar xf - -C {out}",
        "pigz -dc | tar xf - -C {out}",
        "igzip -dc | tar xf - -C {out}",
        "zcat | tar xf - -C {out}",
    ],
)
def test_common_tools_read_it(tree, tmp_path, reader):
    if shutil.which(reader.split()[0]) is None:
        pytest.skip(f"{reader.split()[0]} is not installed")
    (tree / "large").write_bytes(b"x" * 3_000_000)
    (tree / "random").write_bytes(os.urandom(1_500_000))
    put(tree, "a", "sub/é", "n" * 120)
    create_archive(tree, tmp_path / "a.tar.gz")
    out = tmp_path / "out"
    out.mkdir()
    with (tmp_path / "a.tar.gz").open("rb") as archive:
        subprocess.run(["bash", "-c", f"set -o pipefail; {reader.format(out=out)}"], stdin=archive, check=True)
    for path in ("large", "random", "a", "sub/é", "n" * 120):
        assert (out / path).read_bytes() == (tree / path).read_bytes()


def test_progress_is_told_while_blocks_come_without_a_pause(tree, tmp_path):
    with (tree / "sparse").open("wb") as file:
        file.truncate(1 << 29)
    calls = []
    create_archive(tree, tmp_path / "a.tar.gz", progress=lambda done, total: calls.append((done, total)))
    assert [call for call in calls if 0 < call[0] < call[1]]


def test_this_repository_is_selected_as_git_lists_it():
    root = Path(__file__).parents[2]
    listed = [
        subprocess.run(["git", "ls-files", "-z", *options], cwd=root, check=True, capture_output=True).stdout
        for options in (["--cached"], ["--others", "--exclude-standard"])
    ]
    expected = {os.fsdecode(path) for path in b"".join(listed).split(b"\0") if path}
    selection = select_files(root)
    built_in = {path for path, reason in selection.excluded if reason.startswith("built-in") or "not on disk" in reason}
    assert set(selection.files) == {path for path in expected if path not in built_in}


def test_the_users_own_ignore_file_counts_as_in_git(tree, tmp_path, monkeypatch):
    git(tree, "init", "-q")
    put(tree, "a.own", "b.other", "c")
    (tmp_path / "ignores").write_text("*.own\n")
    git(tree, "config", "core.excludesFile", str(tmp_path / "ignores"))
    assert select_files(tree).files == ["b.other", "c"]
    git(tree, "config", "--unset", "core.excludesFile")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config/git").mkdir(parents=True)
    (tmp_path / "config/git/ignore").write_text("*.other\n")
    assert select_files(tree).files == ["a.own", "c"]


def test_the_bytes_depend_on_neither_times_umask_locale_folder_nor_threads(tree, tmp_path):
    put(tree, "b", "a/c", "Z", "é")
    (tree / "large").write_bytes(b"abc" * 1_000_000)
    create_archive(tree, tmp_path / "one.tar.gz", threads=1)
    other = tmp_path / "other"
    script = (
        "import os, shutil, sys; os.umask(0o077); from lightning_native import create_archive\n"
        "root, copy, out = sys.argv[1:]; os.mkdir(copy)\n"
        "for name in sorted(os.listdir(root), reverse=True):\n"
        "    copier = shutil.copytree if os.path.isdir(f'{root}/{name}') else shutil.copyfile\n"
        "    copier(f'{root}/{name}', f'{copy}/{name}')\n"
        "create_archive(copy, out, threads=4)"
    )
    environment = os.environ | {"LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", script, str(tree), str(other), str(tmp_path / "two.tar.gz")]
    subprocess.run(command, check=True, env=environment)
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_ctrl_c_stops_and_leaves_no_file(tree, tmp_path):
    with (tree / "large").open("wb") as file:
        file.truncate(4 << 30)
    script = (
        "import sys; from lightning_native import create_archive\n"
        "create_archive(*sys.argv[1:], level=12, progress=lambda done, _: done and print(done, flush=True))"
    )
    command = [sys.executable, "-c", script, str(tree), str(tmp_path / "a.tar.gz")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert b"KeyboardInterrupt" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]
