import io
import os
import tarfile
from pathlib import Path

import pytest

from lightning_native import create_archive, extract_archive
from lightning_native.cli import main
from lightning_native.errors import ArchiveError, UnsafeArchiveError


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def member(name, kind=tarfile.REGTYPE, content=b"", link="", **fields):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(content), link
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def pack(path, *members, tar_format=tarfile.GNU_FORMAT, **options):
    with tarfile.open(path, "w:gz", format=tar_format, **options) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def refuse(tmp_path):
    """Check that an archive of these entries is refused, and that nothing of it stays."""

    def check(*members, match, **options):
        inside = tmp_path / "inside"
        inside.mkdir()
        archive = pack(inside / "a.tar.gz", *members, **options)
        with pytest.raises(UnsafeArchiveError, match=match):
            extract_archive(archive, inside / "out")
        assert listing(inside) == ["a.tar.gz"]
        assert listing(tmp_path) == ["inside"]

    return check


def test_absolute_paths_are_refused(refuse):
    refuse(member("/tmp/x"), match="absolute")  # noqa: S108


def test_paths_that_go_up_are_refused(refuse):
    refuse(member("a/../../x"), match=r"`\.\.`")


@pytest.mark.parametrize("target", ["/etc", "..", "a/../../x", "../inside/out", ""])
def test_links_that_lead_outside_are_refused(refuse, target):
    refuse(member("link", tarfile.SYMTYPE, link=target), match="link to")


def test_links_that_lead_outside_by_way_of_others_are_refused(refuse):
    refuse(
        member("d/e/", tarfile.DIRTYPE),
        member("up", tarfile.SYMTYPE, link="d/e/.."),
        member("d/x", tarfile.SYMTYPE, link="../up/../../y"),
        match="outside",
    )


def test_writing_through_a_link_is_refused(refuse):
    """RUSTSEC-2018-0002 and RUSTSEC-2021-0080: a link, then a file or a folder inside of it."""
    refuse(member("d", tarfile.SYMTYPE, link="."), member("d/x"), match="through the link d")


def test_making_a_folder_through_a_link_is_refused(refuse):
    refuse(member("d", tarfile.SYMTYPE, link="."), member("d/x/", tarfile.DIRTYPE), match="through the link d")


def test_a_folder_over_a_link_is_refused(refuse):
    """RUSTSEC-2026-0067 (CVE-2026-33056): a folder entry that follows the link of the same name changed its target."""
    refuse(member("d", tarfile.SYMTYPE, link="."), member("d/", tarfile.DIRTYPE, mode=0o777), match="twice")


@pytest.mark.parametrize("target", ["/etc/passwd", "../x", "gone", "d"])
def test_hard_links_to_anything_but_an_earlier_file_are_refused(refuse, target):
    refuse(member("d/", tarfile.DIRTYPE), member("x", tarfile.LNKTYPE, link=target), match="hard link to")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(refuse, kind):
    refuse(member("x", kind), match="device|pipe")


def test_sparse_files_and_unknown_types_are_refused(refuse):
    refuse(member("x", b"Z"), match="unknown type")


@pytest.mark.parametrize("names", [("x", "x"), ("x", "./x"), ("d/x", "d//x"), ("Makefile", "makefile"), ("D/x", "d/y")])
def test_duplicate_and_case_colliding_entries_are_refused(refuse, names):
    refuse(*map(member, names), match="twice|upper and lower case")


def test_a_file_and_a_folder_of_the_same_name_are_refused(refuse):
    refuse(member("x"), member("x/y"), match="is a file in this archive")


def test_a_size_in_a_pax_record_is_refused(refuse):
    """CVE-2025-62518 and RUSTSEC-2026-0068 (CVE-2026-33055): header and record disagree on where the next entry is."""
    info, content = member("x", content=b"y" * 1024)
    info.pax_headers = {"size": "0"}
    refuse((info, content), match="size in a PAX record", tar_format=tarfile.PAX_FORMAT)


@pytest.mark.parametrize("key", ["path", "linkpath", "size"])
def test_a_global_pax_record_that_changes_entries_is_refused(refuse, key):
    refuse(member("x"), match="global PAX", tar_format=tarfile.PAX_FORMAT, pax_headers={key: "1"})


def test_paths_in_pax_records_and_long_names_obey_the_same_rules(refuse):
    refuse(member("a/" * 80 + "../x"), match=r"`\.\.`", tar_format=tarfile.PAX_FORMAT)


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_that_take_too_much_memory_are_refused(refuse, tar_format):
    refuse(member("x" * (1 << 20) + "y"), match=r"a name or record of \d+ bytes", tar_format=tar_format)


def test_bombs_are_refused(tmp_path):
    info = tarfile.TarInfo("zeros")
    info.size = 1 << 28
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", compresslevel=1) as archive, Path("/dev/zero").open("rb") as zeros:
        archive.addfile(info, zeros)
    with pytest.raises(UnsafeArchiveError, match=r"200 times its size, as a .*bomb does; .* max_ratio \(--max-ratio\)"):
        extract_archive(tmp_path / "a.tar.gz", tmp_path / "out")
    with pytest.raises(UnsafeArchiveError, match=r"more than 1000000 bytes; .* max_bytes"):
        extract_archive(tmp_path / "a.tar.gz", tmp_path / "out", max_bytes=1_000_000)
    assert listing(tmp_path) == ["a.tar.gz"]
    assert extract_archive(tmp_path / "a.tar.gz", tmp_path / "out", max_ratio=10_000).bytes_out == 1 << 28


def test_harmless_archives_of_others_are_extracted(tmp_path):
    """Links inside, broken links, hard links, a global comment as `git archive` writes it, long names, `./`."""
    pack(
        tmp_path / "a.tar.gz",
        member("./", tarfile.DIRTYPE),
        member("./d/e/", tarfile.DIRTYPE),
        member("d/x", content=b"hello", mode=0o755),
        member("hard", tarfile.LNKTYPE, link="d/x"),
        member("d/e/up", tarfile.SYMTYPE, link="../x"),
        member("broken", tarfile.SYMTYPE, link="d/gone"),
        member("é" * 80, content=b"long"),
        member("large", content=b"z" * 3_000_000),
        tar_format=tarfile.PAX_FORMAT,
        pax_headers={"comment": "1" * 40},
    )
    out = tmp_path / "out"
    out.mkdir()
    report = extract_archive(tmp_path / "a.tar.gz", out)
    assert report.files == 6
    assert (out / "hard").read_bytes() == b"hello"
    assert os.access(out / "d/x", os.X_OK)
    assert (out / "d/e/up").resolve() == out / "d/x"
    assert str((out / "broken").readlink()) == "d/gone"
    assert (out / ("é" * 80)).read_bytes() == b"long"
    assert (out / "large").stat().st_size == 3_000_000


def test_only_into_a_new_or_empty_folder(tmp_path):
    archive = pack(tmp_path / "a.tar.gz", member("x"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full/y").touch()
    with pytest.raises(ArchiveError, match="not empty"):
        extract_archive(archive, tmp_path / "full")
    with pytest.raises(ArchiveError, match="no folder"):
        extract_archive(archive, tmp_path / "full/y")
    extract_archive(archive, tmp_path / "new/er")
    assert listing(tmp_path / "new/er") == ["x"]


@pytest.mark.parametrize("size", [0, 1, 10, 1000, -1, -9, -30])
def test_cut_off_archives_are_errors_and_leave_nothing(tmp_path, size):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "x").write_bytes(os.urandom(2_000_000))
    create_archive(tree, tmp_path / "whole")
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:size])
    with pytest.raises(ArchiveError, match=r"cut off|no gzip"):
        extract_archive(tmp_path / "cut", tmp_path / "out")
    assert listing(tmp_path) == ["cut", "tree", "whole"]


def test_an_archive_cut_off_between_members_is_an_error(tmp_path):
    pack(tmp_path / "a.tar.gz", member("x", content=b"1"))
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/x").touch()
    create_archive(tmp_path / "tree", tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: whole.index(b"\x1f\x8b", 2)])
    with pytest.raises(ArchiveError, match="end mark is missing"):
        extract_archive(tmp_path / "cut", tmp_path / "out")


def test_damage_is_an_error(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/x").write_bytes(os.urandom(100_000))
    create_archive(tmp_path / "tree", tmp_path / "a")
    content = bytearray((tmp_path / "a").read_bytes())
    content[50_000] ^= 1
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ArchiveError, match="damaged"):
        extract_archive(tmp_path / "a", tmp_path / "out")


def test_what_a_progress_callback_raises_stops_and_leaves_nothing(tmp_path):
    archive = pack(tmp_path / "a.tar.gz", member("x"))

    def stop(_done, _total):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        extract_archive(archive, tmp_path / "out", progress=stop)
    assert listing(tmp_path) == ["a.tar.gz"]


def test_command_line_extracts_and_fails_without_a_traceback(tmp_path, capsys):
    archive = str(pack(tmp_path / "a.tar.gz", member("x", content=b"12")))
    assert main(["extract", archive, str(tmp_path / "out"), "--json"]) == 0
    assert '"bytes_out": 2' in capsys.readouterr().out
    assert main(["extract", archive, str(tmp_path / "out")]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert main(["extract", str(tmp_path / "gone"), str(tmp_path / "new")]) == 1
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE])
@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_paths_of_a_million_parts_are_refused_before_they_take_memory(refuse, kind, tar_format):
    long = "a/" * 500_000
    entry = member("x", kind, link=long) if kind == tarfile.SYMTYPE else member(long + "x")
    refuse(entry, match="a path of more than 4096 bytes", tar_format=tar_format)


def test_links_that_take_too_long_to_follow_are_refused(refuse):
    deep = "d/" * 2000
    links = [member(f"link{number}", tarfile.SYMTYPE, link=f"{deep}{number}") for number in range(200)]
    refuse(*links, match="links are too many")


def test_a_source_that_is_no_file_is_a_clear_error(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for source in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(ArchiveError, match=f"cannot read {source}: it is no regular file"):
            extract_archive(source, tmp_path / "out")
    assert listing(tmp_path) == ["pipe"]


def test_an_empty_folder_that_is_filled_keeps_its_mode(tmp_path):
    archive = pack(tmp_path / "a.tar.gz", member("x"))
    (tmp_path / "out").mkdir(mode=0o700)
    extract_archive(archive, tmp_path / "out")
    assert listing(tmp_path / "out") == ["x"]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


def test_a_refused_archive_leaves_no_folder_on_the_way(tmp_path):
    archive = pack(tmp_path / "a.tar.gz", member("/x"))
    with pytest.raises(UnsafeArchiveError):
        extract_archive(archive, tmp_path / "new/er/out")
    assert listing(tmp_path) == ["a.tar.gz"]


@pytest.mark.parametrize("level", [1, 12])
def test_a_file_of_zeros_survives_when_that_ratio_is_allowed(tmp_path, level):
    (tmp_path / "tree").mkdir()
    with (tmp_path / "tree/zeros").open("wb") as file:
        file.truncate(80 << 20)
    create_archive(tmp_path / "tree", tmp_path / "a.tar.gz", level=level)
    assert extract_archive(tmp_path / "a.tar.gz", tmp_path / "out", max_ratio=1030).bytes_out == 80 << 20
