from hypothesis import example, given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from lightning_native import dedupe_requirements, merge_requirements
from lightning_native.errors import ConflictError

numbers = st.integers(0, 3)
releases = st.lists(numbers, min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))
versions = st.builds(
    "".join,
    st.tuples(releases, st.sampled_from(["", "", "a1", "rc2", ".post1", ".dev3", "a1.dev2"])),
)
wildcards = st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), releases)
compatible = st.builds("~={}.{}".format, numbers, releases)
plain = st.builds("{}{}".format, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), versions)
specifiers = st.lists(plain | wildcards | compatible, max_size=3).map(",".join)


@given(st.lists(st.text().map(str.strip), max_size=30))
def test_dedupe_equals_sorted_set(lines):
    assert dedupe_requirements(lines) == sorted(set(filter(None, lines)))


# Both 2 and 2a1 are less than 2.post1; 2.post1.dev0 is not.
@given(specifiers, specifiers, st.lists(versions | st.just("1.0+local"), max_size=30))
@example("==2.*,!=0", "<2.post1", ["2", "2a1", "2.post0", "2.post1"])
@example(">=2.post1.dev0", "<2.post1", ["2", "2.post1.dev0", "2.post1"])
def test_a_merged_specifier_accepts_exactly_the_versions_that_both_accept(left, right, candidates):
    def accepted_by_both(version):
        return all(SpecifierSet(each).contains(version, prereleases=True) for each in (left, right))

    try:
        [line] = merge_requirements([[f"a{left}", f"a{right}"]]).lines
    except ConflictError:
        assert not any(map(accepted_by_both, candidates))
        return
    merged = Requirement(line).specifier
    for version in candidates:
        assert merged.contains(version, prereleases=True) == accepted_by_both(version)


@given(st.lists(st.builds("{}{}".format, st.sampled_from(["a", "B_b", "c[x]"]), specifiers), max_size=8))
def test_every_line_parses_and_merging_again_changes_nothing(lines):
    merged = merge_requirements([lines], on_conflict="last")
    assert [str(Requirement(line).name) for line in merged.lines] == sorted(
        {*(Requirement(x).name for x in merged.lines)}
    )
    assert merge_requirements([merged.lines]).lines == merged.lines
