"""Resource names, pinned: a controller finds by them the resources that another version's controller created."""

from lightning_native.engine import resource_names as names
from lightning_native.engine.plan import RunPlan

PLAN = RunPlan("0123456789abcdef", "Digits (nightly)", ())


def test_job_names() -> None:
    assert names.job_name(PLAN, "train model", 2) == "digits-nightly-train-model-0123456789ab-attempt-jlhzweucay74dom"


def test_studio_names() -> None:
    assert names.studio_name(PLAN) == "digits-nightly-0123456789ab-sa3ucbxngmzcfni"
    assert names.studio_name(PLAN, "train model") == "digits-nightly-train-model-0123456789ab-cfdjrkxqapvmojb"
    assert names.template_studio_name("0123456789abcdef", "cafe0123") == "env-0123456789ab-cafe0123-swqnbystryn5qud"
    assert (
        names.template_studio_name("0123456789abcdef", "cafe0123", "nightly 0123")
        == "nightly-0123-0123456789ab-cafe0123-mnvx3ja5zv4h7nr"
    )


def test_the_studio_of_jobs() -> None:
    assert names.jobs_studio_name("cafe0123") == "jobs-cafe0123-ntr5nxhej65tuhp"
    assert names.jobs_studio_name("cafe0123", "there").startswith("jobs-cafe0123-there-")


def test_pipeline_names() -> None:
    assert names.pipeline_name(PLAN) == "digits-nightly-0123456789ab-sa3ucbxngmzcfni"
    assert names.pipeline_name(PLAN, 2) == "digits-nightly-0123456789ab-2-334qwntau5bh5d2"
    assert names.pipeline_step_name("train model") == "train-model-x2c2pe4cqxf37wg"
    assert names.schedule_pipeline_name("nightly") == "schedule-nightly-orikgrtxgwkmnt7"
    assert names.schedule_owner("nightly", "0123456789abcdef") == "nightly 0123456789ab"


def test_operation_ids() -> None:
    assert names.operation_id("0123456789abcdef", "train model", 2) == "0123456789abcdef.train-model-x2c2pe4cqxf37wg.2"
    assert names.pipeline_operation_id("digits", "train model") == "digits.train-model-x2c2pe4cqxf37wg"


def test_log_names() -> None:
    assert names.log_name("train model", 1) == "train-model-x2c2pe4cqxf37wg.log"
    assert names.log_name("train model", 2) == "train-model-x2c2pe4cqxf37wg.2.log"


def test_places_of_outputs() -> None:
    assert (
        names.outputs_folder(PLAN, "train model") == "outputs/digits-nightly-train-model-0123456789ab-cfdjrkxqapvmojb"
    )
    assert (
        names.studio_outputs_name("0123456789abcdef", "train model") == "0123456789abcdef.train-model-x2c2pe4cqxf37wg"
    )


def test_the_drives_folders() -> None:
    assert names.drive_folder("some-job") == "jobs/some-job"


def test_things_of_the_conformance_suite() -> None:
    assert names.conformance_name("cafe0123", "job") == "conformance-cafe0123-job-4mhyxubf2q6d7bv"
