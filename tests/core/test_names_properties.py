import re

from hypothesis import example, given
from hypothesis import strategies as st

from lightning_native import sanitize_studio_name, unique_studio_name
from lightning_native.errors import InvalidNameError

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
names = st.text() | st.text(alphabet="aB-_ 1é", max_size=90)


def reference(name):
    label = re.sub(r"[^a-z0-9-]", "-", name.lower())
    return re.sub(r"-+", "-", re.sub(r"^-+", "", label))


@given(names)
@example("\u212a")  # the Kelvin sign has an ASCII lower case
@example("İx")
def test_equals_the_well_known_reference_wherever_that_is_valid(name):
    expected = reference(name)
    try:
        made = sanitize_studio_name(name)
    except InvalidNameError:
        assert not any(character.isalnum() for character in name)
        return
    assert LABEL.fullmatch(made)
    if LABEL.fullmatch(expected):
        assert made == expected
    else:
        readable = expected[:54].rstrip("-") or "studio"
        assert re.fullmatch(re.escape(readable) + "-[a-z2-7]{8}", made)
    assert sanitize_studio_name(made) == made


@given(st.lists(st.lists(names, min_size=1, max_size=3).map(tuple), unique=True, max_size=20))
def test_distinct_parts_get_distinct_valid_names(all_parts):
    made = []
    for parts in all_parts:
        try:
            made.append(unique_studio_name(*parts))
        except InvalidNameError:
            assert not any(character.isalnum() for part in parts for character in part)
    assert len(set(made)) == len(made)
    assert all(LABEL.fullmatch(name) for name in made)
