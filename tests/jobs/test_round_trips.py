"""Round trips through a dialect: a runtime is unchanged after translation and extraction."""

from pathlib import PurePath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_native.errors import JobError
from lightning_native.jobs import DataScienceJob, Job, Lightning, Runtime, lightning, oci, runtime_from_spec

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
TEXT = ANY_TEXT.filter(bool)
WORD = st.text(st.sampled_from("abcXYZ019._-/é"), min_size=1, max_size=12)
VARIABLE = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT
JSON = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3))
LINUX_PATH = st.lists(
    WORD.map(lambda word: word.replace("/", "_").strip(".")).filter(bool), min_size=1, max_size=3
).map("/".join)


def specification(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


def lossless() -> st.SearchStrategy[Runtime]:
    """Return all runtimes that Lightning can run, with any values."""

    # Without references, because a job with an incomplete one cannot run.
    value = ANY_TEXT.map(lambda text: text.replace("${", "$$"))
    common = {
        "args": st.lists(SCALAR, max_size=4),
        "env": st.lists(st.fixed_dictionaries({"name": VARIABLE, "value": value | st.integers()}), max_size=4),
        "freeformTags": st.dictionaries(TEXT, SCALAR, max_size=2),
        "definedTags": st.dictionaries(TEXT, st.dictionaries(TEXT, SCALAR, max_size=2), max_size=2),
        "maximumRuntimeInMinutes": st.integers(0, 10_000),
        "conda": st.fixed_dictionaries({"type": TEXT, "slug": ANY_TEXT}),
        "somethingElse": JSON,
    }
    python = {
        "entrypoint": ANY_TEXT,
        "entryFunction": ANY_TEXT,
        "pythonPath": st.lists(ANY_TEXT, max_size=3) | ANY_TEXT,
        "workingDir": ANY_TEXT,
        "outputDir": ANY_TEXT,
        "outputUri": LINUX_PATH,
    }
    source = {"scriptPathURI": LINUX_PATH}
    git = {"branch": ANY_TEXT, "commit": ANY_TEXT, "gitSecretId": VARIABLE}
    return st.one_of(
        st.tuples(st.just("script"), specification(source, {**common, "entrypoint": ANY_TEXT})),
        st.tuples(st.just("python"), specification(source, {**common, **python})),
        st.tuples(
            st.just("notebook"),
            specification(
                {"notebookPathURI": LINUX_PATH},
                {
                    **common,
                    "source": LINUX_PATH,
                    "entrypoint": ANY_TEXT,
                    "excludeTags": st.lists(ANY_TEXT, max_size=3),
                    "notebookEncoding": ANY_TEXT,
                    "outputUri": LINUX_PATH,
                },
            ),
        ),
        st.tuples(
            st.just("gitPython"),
            specification({"url": TEXT}, {**common, **python, **git, "skipMetadataUpdate": st.booleans()}).map(
                lambda spec: {**spec, "entrypoint": spec.get("entrypoint") or "main.py"}
            ),
        ),
        st.tuples(
            st.just("container"),
            specification(
                {"image": TEXT},
                {
                    **common,
                    "entrypoint": st.lists(ANY_TEXT, max_size=3),
                    "cmd": st.lists(ANY_TEXT, max_size=3),
                    "replicas": st.integers(1, 9),
                },
            ),
        ),
        st.tuples(
            st.just("pyTorchDistributed"),
            specification(
                source,
                {
                    **common,
                    **python,
                    "replicas": st.integers(0, 9) | st.none(),
                    "command": ANY_TEXT | st.lists(ANY_TEXT, max_size=3),
                    "git": specification({"url": TEXT}, git),
                    "inputs": st.dictionaries(TEXT, ANY_TEXT, max_size=2),
                    "dependencies": st.dictionaries(st.sampled_from(["pipPackages", "pipRequirements"]), WORD),
                    "deepspeed": st.booleans(),
                },
            ),
        ),
    ).map(lambda drawn: runtime_from_spec(*drawn))


@settings(max_examples=300, deadline=None)
@given(runtime=lossless(), name=WORD, shape=st.sampled_from(["VM.GPU.A10.1", "VM.Standard2.4", None]))
def test_lightning_loses_nothing(runtime: Runtime, name: str, shape: str | None) -> None:
    infrastructure = DataScienceJob.from_spec({"shapeName": shape, "logId": "l"}) if shape else Lightning(machine="L4")
    job = Job(name=f"a{name}", runtime=runtime, infrastructure=infrastructure)
    spec = lightning.translate(job)
    assert lightning.extract(spec) == runtime
    assert lightning.extract_job(spec) == job
    assert lightning.translate(lightning.extract_job(spec)) == spec


def kept() -> st.SearchStrategy[Runtime]:
    """Return the runtimes that fit into an OCI job's payload; the documentation lists the parts that do not."""

    value = ANY_TEXT.map(lambda text: text.replace("$", ""))
    common = {
        "args": st.lists(ANY_TEXT, min_size=1, max_size=4),
        # Names in lower case, because one in capitals could be a variable with a meaning.
        "env": st.lists(
            st.fixed_dictionaries({"name": VARIABLE, "value": value}),
            min_size=1,
            max_size=4,
            unique_by=lambda v: v["name"],
        ),
        "freeformTags": st.dictionaries(TEXT, TEXT, min_size=1, max_size=2),
        "definedTags": st.dictionaries(TEXT, st.dictionaries(TEXT, TEXT), min_size=1, max_size=2),
        "maximumRuntimeInMinutes": st.integers(1, 10_000),
    }
    slug = st.fixed_dictionaries({"type": TEXT, "slug": TEXT}).map(lambda conda: {**conda, "type": "service"})
    published = st.fixed_dictionaries({"type": st.just("published"), "uri": st.just("oci://B@ns/p/q"), "region": TEXT})
    conda = {"conda": slug | published}
    # Folders without a colon, which separates paths.
    folders = st.lists(WORD, min_size=1, max_size=3)
    python = {
        "entryFunction": TEXT,
        "pythonPath": folders,
        "workingDir": TEXT,
        "outputDir": TEXT,
        "outputUri": TEXT,
    }
    path = LINUX_PATH.map(lambda path: "/src/" + path)
    without_suffix = path.map(lambda path: str(PurePath(path).parent / "code_dir"))
    words = st.lists(st.text("abc -x/&'", min_size=1).map(str.strip).filter(bool), min_size=1, max_size=3)
    return st.one_of(
        st.tuples(st.just("script"), specification({"scriptPathURI": path}, {**common, **conda, "entrypoint": TEXT})),
        st.tuples(
            st.just("python"),
            specification({"scriptPathURI": without_suffix, "entrypoint": TEXT}, {**common, **conda, **python}),
        ),
        st.tuples(
            st.just("notebook"),
            specification(
                {"source": WORD.map(lambda word: word.replace("/", "_")), "entrypoint": LINUX_PATH},
                {
                    **common,
                    **conda,
                    "excludeTags": st.lists(ANY_TEXT, min_size=1, max_size=3),
                    "notebookEncoding": TEXT,
                    "outputUri": TEXT,
                },
            ),
        ),
        st.tuples(
            st.just("gitPython"),
            specification(
                {"url": TEXT, "entrypoint": TEXT, **conda},
                {
                    **common,
                    **python,
                    "branch": TEXT,
                    "commit": TEXT,
                    "gitSecretId": TEXT,
                    "skipMetadataUpdate": st.just(True),
                },
            ),
        ),
        st.tuples(st.just("container"), specification({"image": TEXT}, {**common, "entrypoint": words, "cmd": words})),
        st.tuples(
            st.just("pyTorchDistributed"),
            specification(
                {"scriptPathURI": without_suffix, "entrypoint": TEXT, "replicas": st.integers(1, 9)},
                {
                    **common,
                    **conda,
                    **python,
                    "command": TEXT,
                    "git": specification({"url": TEXT}, {"branch": TEXT, "commit": TEXT, "gitSecretId": TEXT}),
                    "inputs": st.dictionaries(TEXT, TEXT, min_size=1, max_size=2),
                    "dependencies": specification({"pipPackages": TEXT}, {"pipRequirements": TEXT}),
                    "deepspeed": st.just(True),
                },
            ),
        ),
    ).map(lambda drawn: runtime_from_spec(*drawn))


@settings(max_examples=300, deadline=None)
@given(runtime=kept())
def test_an_oci_job_keeps_what_it_has_a_place_for(runtime: Runtime) -> None:
    payload = oci.translate(runtime)
    assert oci.extract(payload) == runtime
    assert oci.translate(oci.extract(payload)) == payload


def test_what_is_no_json_is_refused_or_becomes_text() -> None:
    script = runtime_from_spec("script", {"scriptPathURI": "a.py", "unknown": {1: 2}})
    with pytest.raises(JobError, match="key that is no text"):
        lightning.translate(script)
    job = Job.from_dict(
        {"spec": {"runtime": {"type": "script", "spec": {"scriptPathURI": "a.py", "args": [object()]}}}}
    )
    with pytest.raises(JobError, match="neither text"):
        lightning.translate(job)
