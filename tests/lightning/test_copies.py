"""Copies that a repeated request has created: they are distinguished from the resources of others."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_native import unique_studio_name
from lightning_native.lightning.copies import came_together, is_name_of_copy

NAME = unique_studio_name("my pipeline", "a", "0123456789ab")


@pytest.mark.parametrize("suffix", ["-2", "-13", "-x7k", "-a1b2c3"])
def test_the_platform_s_suffixes_make_a_copy(suffix: str) -> None:
    assert is_name_of_copy(NAME, f"{NAME}{suffix}")
    assert is_name_of_copy(NAME, f"{NAME}{suffix}".upper())


@pytest.mark.parametrize("found", [NAME, f"{NAME}2", f"{NAME}-", f"{NAME}-2-3", f"{NAME}-2\n", f"x{NAME}-2", NAME[:-1]])
def test_other_names_do_not(found: str) -> None:
    assert not is_name_of_copy(NAME, found)


@given(st.text("ab-2", min_size=1).filter(str.isalnum), st.text("ab-2", min_size=1).filter(str.isalnum))
def test_none_of_our_names_is_a_copy_of_another(first: str, second: str) -> None:
    names = [unique_studio_name("run", first), unique_studio_name("run", first, second), unique_studio_name("run")]
    assert not any(is_name_of_copy(one, other) for one in names for other in names)


def test_what_came_much_later_did_not_come_with_the_same_request() -> None:
    now = datetime.now(timezone.utc)
    assert came_together(now, now + timedelta(minutes=3))
    assert came_together(now, None)
    assert not came_together(now, now + timedelta(hours=1))
