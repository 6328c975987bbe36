import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from packaging.requirements import Requirement

from lightning_native import dedupe_requirements, merge_requirements
from lightning_native.cli import main
from lightning_native.errors import ConflictError, RequirementError


def lines_of(*lines, **options):
    return merge_requirements([list(lines)], **options).lines


def test_dedupe_strips_sorts_and_removes():
    assert dedupe_requirements([" b", "a ", "", "b", "\n"]) == ["a", "b"]


def test_specifiers_of_a_package_are_joined_whatever_its_spelling():
    assert lines_of("Foo_Bar>=1", "foo.bar<3 # why", "foo-bar[x]", "foo-bar[y]>=1") == ["foo-bar[x,y]>=1,<3"]


def test_markers_that_mean_the_same_are_one_group_and_keep_their_text():
    assert lines_of("a>1; python_version<'3.11'", 'a<9 ; python_version < "3.11"', "a") == [
        "a",
        "a>1,<9; python_version<'3.11'",
    ]


def test_sources_may_be_paths_texts_and_lists(tmp_path):
    file = tmp_path / "requirements.txt"
    file.write_text("a>=1\n")
    merged = merge_requirements([file, str(file), ("other.txt", "a<2\nb\n"), ["c"], "d==1"])
    assert merged.lines == ["a>=1,<2", "b", "c", "d==1"]


def test_includes_are_relative_to_the_file_that_names_them(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "top.txt").write_text("-r sub/more.txt\na\n")
    (tmp_path / "sub/more.txt").write_text("--requirement=../last.txt\nb\n")
    (tmp_path / "last.txt").write_text("c\n")
    assert merge_requirements([tmp_path / "top.txt"]).lines == ["a", "b", "c"]


def test_files_that_include_each_other_are_an_error_that_names_them(tmp_path):
    (tmp_path / "a.txt").write_text("-r b.txt\n")
    (tmp_path / "b.txt").write_text("-r a.txt\n")
    with pytest.raises(RequirementError, match=r"a\.txt -> .*b\.txt -> .*a\.txt"):
        merge_requirements([tmp_path / "a.txt"])


def test_constraints_bound_what_is_required_and_require_nothing(tmp_path):
    (tmp_path / "c.txt").write_text("a<2\nb<3\n")
    (tmp_path / "r.txt").write_text("-c c.txt\na>=1\n")
    merged = merge_requirements([tmp_path / "r.txt"])
    assert merged.lines == ["a>=1,<2"]
    assert merged.constraints == ["b<3"]


def test_options_keep_their_order_and_hashes_their_line():
    text = (
        "--index-url https://one/simple\n--extra-index-url https://two/simple\n-e ./local\n"
        "a==1 \\\n    --hash=sha256:00 \\\n    --hash sha256:11\n"
    )
    merged = merge_requirements([("r.txt", text)])
    assert merged.options == ["--index-url https://one/simple", "--extra-index-url https://two/simple", "-e ./local"]
    assert merged.line_options == {"a==1": ["--hash=sha256:00", "--hash=sha256:11"]}
    assert merge_requirements([("r.txt", merged.to_text())]).to_text() == merged.to_text()


def test_urls_and_version_control_references_survive():
    merged = merge_requirements(
        [["git+https://x/y.git@main#egg=y", "z @ https://h/z.whl ; os_name == 'nt'", "./w.whl", "https://h/v.whl"]]
    )
    assert merged.lines == ["y @ git+https://x/y.git@main#egg=y", "z @ https://h/z.whl ; os_name == 'nt'"]
    assert merged.options == ["./w.whl", "https://h/v.whl"]
    assert all(Requirement(line) for line in merged.lines)


def test_a_path_that_ends_in_a_backslash_is_not_joined_with_the_next_line():
    merged = merge_requirements([["/2\\  ", "a"]])
    assert merged.options == ["/2\\"]
    again = merge_requirements([merged.to_text().splitlines()])
    assert (again.options, again.lines) == (merged.options, merged.lines) == (["/2\\"], ["a"])


def test_requirements_that_cannot_hold_together_are_named_with_both_origins():
    with pytest.raises(ConflictError, match=r"numpy==1\.26.*a\.txt:1.*numpy>=2.*b\.txt:2"):
        merge_requirements([("a.txt", "numpy==1.26"), ("b.txt", "#\nnumpy>=2")])


def test_the_last_of_a_conflict_can_win_and_the_other_is_reported():
    merged = merge_requirements([("a.txt", "numpy==1.26"), ("b.txt", "numpy>=2")], on_conflict="last")
    assert merged.lines == ["numpy>=2"]
    [conflict] = merged.conflicts
    assert (conflict.name, conflict.first, conflict.last) == (
        "numpy",
        ("numpy==1.26", "a.txt:1"),
        ("numpy>=2", "b.txt:1"),
    )


def test_a_local_version_satisfies_a_pin_of_its_public_one():
    assert lines_of("torch==2.0", "torch==2.0+cpu") == ["torch==2.0,==2.0+cpu"]


@pytest.mark.parametrize(
    "text", ["a b c", "a>>1", "a==1;nonsense", "[x]", "a[", "-r", "a @ ", "é", "2-?", "a[b-]", "2[2-"]
)
def test_what_does_not_parse_is_an_error_with_file_line_and_text(text):
    with pytest.raises(RequirementError) as caught:
        merge_requirements([("r.txt", f"ok\n\n{text}\n")])
    assert "r.txt:3" in str(caught.value)
    assert json.dumps(text.strip(), ensure_ascii=False) in str(caught.value)


def test_a_file_that_does_not_exist_is_an_error_that_names_it_and_its_includer(tmp_path):
    with pytest.raises(RequirementError, match=r"r\.txt:1: cannot read the requirement file .*gone\.txt"):
        merge_requirements([(tmp_path / "r.txt", "-r gone.txt")])


def test_ambiguous_sources_are_refused():
    with pytest.raises(TypeError, match="give a list"):
        merge_requirements("numpy")
    with pytest.raises(TypeError, match=r"sources\[0\]"):
        merge_requirements([("a", "b", "c")])


def test_command_line_merges_reports_and_fails_without_a_traceback(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("a==1\n")
    (tmp_path / "b.txt").write_text("a==2\nb\n")
    files = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    assert main(["requirements", *files]) == 1
    assert "cannot hold together" in capsys.readouterr().err
    assert main(["requirements", *files, "--on-conflict", "last", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["lines"] == ["a==2", "b"]
    assert "kept the last" in printed.err


def test_a_repeated_requirement_that_had_lost_a_conflict_wins_when_it_comes_last():
    merged = merge_requirements([["a==1", "a==2", "a==1", "b", "b"]], on_conflict="last")
    assert merged.lines == ["a==1", "b"]
    assert [conflict.last[1] for conflict in merged.conflicts] == ["sources[0]:2", "sources[0]:3"]


def test_files_that_include_each_other_without_end_are_a_clear_error(tmp_path):
    for number in range(60):
        (tmp_path / f"{number}.txt").write_text(f"-r {number + 1}.txt\n-r {number + 1}.txt\n")
    (tmp_path / "60.txt").write_text("numpy\n")
    with pytest.raises(RequirementError, match="the files include each other too often"):
        merge_requirements([tmp_path / "0.txt"])


def test_a_requirement_file_without_end_is_a_clear_error(tmp_path):
    with (tmp_path / "r.txt").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(RequirementError, match=r"cannot read the requirement file .*r\.txt: it has more than 64 MiB"):
        merge_requirements([tmp_path / "r.txt"])


def test_what_comes_out_of_a_pipe_is_read_as_a_file_is(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = "".join(f"package-{number}==1\n" for number in range(20_000))
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(pipe.write_text, text)
        assert len(merge_requirements([pipe]).lines) == 20_000
        writing.result()


def test_ctrl_c_ends_waiting_for_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = "import sys; from pathlib import Path; from lightning_native import merge_requirements\n"
    script += "merge_requirements([Path(sys.argv[1])])"
    process = subprocess.Popen([sys.executable, "-c", script, str(pipe)], stderr=subprocess.PIPE)
    with process, pipe.open("w"):  # the open returns once the process opens the pipe
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=120)  # without the signal, the process hangs for ever
        finally:
            process.kill()
    assert b"KeyboardInterrupt" in errors
