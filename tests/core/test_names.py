import pytest

from lightning_native import sanitize_studio_name, unique_studio_name
from lightning_native.cli import main
from lightning_native.errors import InvalidNameError


@pytest.mark.parametrize(
    ("name", "expected"),
    [("train", "train"), ("My Pipeline (v2)x", "my-pipeline-v2-x"), ("--a__b--c", "a-b-c"), ("café noir", "caf-noir")],
)
def test_a_name_with_a_valid_plain_form_gets_that_form(name, expected):
    assert sanitize_studio_name(name) == expected


@pytest.mark.parametrize("name", ["x; touch F #", "a" * 64, "日本", "café", "a\nb'\"-", "\udcff1-"])
def test_any_other_name_keeps_what_is_readable_and_ends_in_a_hash(name):
    made = sanitize_studio_name(name)
    assert made != sanitize_studio_name(f"{name}{name}")
    assert len(made) <= 63
    assert made[-9] == "-"


@pytest.mark.parametrize("name", ["", "---", " \n\t", "!?#"])
def test_a_name_without_letter_or_digit_is_refused(name):
    with pytest.raises(InvalidNameError, match="no letter or digit"):
        sanitize_studio_name(name)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("0a1b2c3d", "Train Step"), "0a1b2c3d-train-step-sqfhj3hhfagh5bz"),
        (("a" * 70, "b"), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bnlvjqwwwoocqmd"),
        (("日本",), "studio-dubgxbbsrynjdxx"),
    ],
)
def test_unique_names_stay_what_they_are_so_that_a_later_version_finds_what_an_earlier_one_made(parts, expected):
    assert unique_studio_name(*parts) == expected


def test_unique_names_of_no_parts_are_refused():
    with pytest.raises(InvalidNameError):
        unique_studio_name()


def test_command_line_prints_names_and_fails_without_a_traceback(capsys):
    assert main(["name", "My Run", "b"]) == 0
    assert capsys.readouterr().out == "my-run\nb\n"
    assert main(["name", "--unique", "a", "b", "--json"]) == 0
    assert unique_studio_name("a", "b") in capsys.readouterr().out
    assert main(["name", "--", "-!-"]) == 1
    assert capsys.readouterr().err.startswith("error: no studio name can be made from")
