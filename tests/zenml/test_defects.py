"""The defects of ZenML's own Lightning integration, each with the tests that prevent it here."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.support.workbench import Workbench

import lightning_native
from lightning_native.emulator.state.cloud import ORGANIZATION, ORGANIZATION_TEAMSPACE
from lightning_native.zenml.reachability import reachable

TESTS = Path(__file__).parents[1]
DEFECTS = {
    "1 any machine_type raises": ["zenml/test_orchestrator:test_steps_run_at_the_same_time_each_on_the_machine"],
    "2 the main studio is never started": ["zenml/test_moving_over:test_the_same_file_runs_on_both"],
    "3 asynchronous runs die": ["zenml/remote_controller/test_launch:test_an_asynchronous_run_is_driven_by_a_studio"],
    "4 steps run one after another": ["zenml/test_orchestrator:test_steps_run_at_the_same_time_each_on_the_machine"],
    "5 a failure aborts independent steps": ["zenml/test_orchestrator:test_a_failing_step_stops_its_downstream_steps"],
    "6 studios leak": [
        "zenml/test_orchestrator:test_a_failing_step_stops_its_downstream_steps",
        "zenml/remote_controller/test_launch:test_an_asynchronous_run_is_driven_by_a_studio",
        "zenml/test_orchestrator:test_ctrl_c_stops_the_run_and_leaves_nothing",
    ],
    "7 archive and secrets stay": [
        "engine/test_placements:test_no_secret_is_left_anywhere",
        "zenml/test_orchestrator:test_a_failing_step_stops_its_downstream_steps",
    ],
    "8 unquoted shell": ["zenml/test_orchestrator:test_a_pipeline_with_a_shell_command_for_a_name"],
    "9 quotes in exports": ["zenml/test_orchestrator:test_a_step_gets_its_requirements_and_its_environment"],
    "10 zenml unpinned": ["zenml/test_settings:test_requirements_come_in_zenmls_order"],
    "11 requirements mangled": [
        "zenml/test_settings:test_requirements_come_in_zenmls_order",
        "zenml/test_settings:test_no_requirements_of_the_user_are_no_source",
        "core/test_requirements:test_options_keep_their_order_and_hashes_their_line",
    ],
    "12 fixed sleeps": ["zenml/test_defects:test_nothing_sleeps_for_a_fixed_while"],
    "13 .studiorc overwritten": ["zenml/test_moving_over:test_the_same_file_runs_on_both"],
    "14 credentials process-wide, organization ignored": [
        "zenml/test_defects:test_an_organization_and_a_secret_of_zenmls_sign_in_and_stay_out_of_the_process"
    ],
    "15 step_environments unused": ["zenml/test_orchestrator:test_a_step_gets_its_requirements_and_its_environment"],
    "16 command and resources dropped": [
        "zenml/test_step_operator:test_marked_steps_run_on_lightning",
        "zenml/test_contract:test_settings_retries_metadata_status_and_a_cached_run",
    ],
    "17 blocks, no metadata, no early id": [
        "zenml/test_contract:test_settings_retries_metadata_status_and_a_cached_run",
        "zenml/remote_controller/test_launch:test_an_asynchronous_run_is_driven_by_a_studio",
        "zenml/submit/test_stop:test_a_forced_stop_ends_everything",
    ],
    "18 local stores accepted": ["zenml/test_defects:test_a_local_artifact_store_is_for_the_local_cloud_only"],
    "19 a cached run still calls": ["zenml/test_contract:test_settings_retries_metadata_status_and_a_cached_run"],
    "20 names unsanitized": [
        "core/test_names:test_any_other_name_keeps_what_is_readable",
        "engine/test_plan:test_two_runs_of_one_pipeline_get_different_studios",
    ],
    "21 double delete": ["engine/test_faults:test_a_request_that_is_carried_out_but_answered_with_503"],
    "22 failures unpublished, exit 0": ["zenml/test_orchestrator:test_a_step_that_dies_before_it_registers_is_shown"],
    "23 no status, stop, dynamic, schedules, modes": [
        "zenml/test_contract:test_settings_retries_metadata_status_and_a_cached_run",
        "zenml/submit/test_stop:test_a_graceful_stop_lets_running_steps_end",
        "zenml/remote_controller/test_launch:test_a_dynamic_pipeline_goes_on_after_its_controller_was_killed",
        "zenml/submit/test_schedules:test_a_schedule_runs_three_times_is_paused_changed_and_deleted",
        "zenml/test_settings:test_all_of_zenmls_execution_modes_are_supported",
    ],
    "24 a hint that names somebody's teamspace": [
        "zenml/remote_controller/test_launch:test_an_asynchronous_run_is_driven_by_a_studio"
    ],
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_has_its_tests(defect: str) -> None:
    for name in DEFECTS[defect]:
        path, _, test = name.partition(":")
        tree = ast.parse((TESTS / f"{path}.py").read_text())
        found = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith(test)]
        assert len(found) == 1, name


def test_the_table_is_complete() -> None:
    assert [int(defect.split()[0]) for defect in DEFECTS] == list(range(1, 25))


def test_nothing_sleeps_for_a_fixed_while() -> None:
    """Waits are polls: no sleep of the engine or of the parts for ZenML and Lightning is fixed and above a second."""
    package = Path(lightning_native.__file__).parent
    long_sleeps = []
    for path in [*package.glob("engine/**/*.py"), *package.glob("zenml/**/*.py"), *package.glob("lightning/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            is_sleep = isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep")
            if is_sleep and isinstance(node.args[0], ast.Constant) and node.args[0].value > 1:
                long_sleeps.append(f"{path}:{node.lineno}")
    assert long_sleeps == []


@pytest.mark.parametrize(
    ("cloud", "is_local", "allowed"), [("lightning", True, False), ("lightning", False, True), ("local", True, True)]
)
def test_a_local_artifact_store_is_for_the_local_cloud_only(cloud: str, is_local: bool, allowed: bool) -> None:
    store = SimpleNamespace(name="files", config=SimpleNamespace(is_local=is_local))
    component = SimpleNamespace(name="mine", type=SimpleNamespace(value="step_operator"))
    ok, reason = reachable(component, cloud, SimpleNamespace(artifact_store=store))  # type: ignore[arg-type]  # as much as it reads
    assert ok is allowed
    assert ("zenml step-operator update mine --cloud=local" in reason) is not allowed


@pytest.mark.spread(5)
def test_an_organization_and_a_secret_of_zenmls_sign_in_and_stay_out_of_the_process(workbench: Workbench) -> None:
    cloud = workbench.cloud_environment
    code, output = workbench.run(
        f"""
import os
from zenml import pipeline, step
from zenml.client import Client
from zenml.config import DockerSettings

STORES = {{"ZENML_LOCAL_STORES_PATH": os.environ.get("STORES", "")}}
SETTINGS = {{
    # The local cloud as if it were Lightning's: by its address, with credentials.
    "cloud": "lightning", "user_id": "{{{{both.user_id}}}}", "api_key": "{{{{both.api_key}}}}",
    "username": "somebody-else", "organization": {ORGANIZATION!r}, "teamspace": {ORGANIZATION_TEAMSPACE!r},
}}

@step(enable_cache=False)
def where() -> str:
    return os.environ.get("LIGHTNING_ORG", "nobody's")

@pipeline(settings={{"orchestrator": SETTINGS, "docker": DockerSettings(environment=STORES)}})
def organized() -> None:
    where()

if __name__ == "__main__":
    from zenml.config.global_config import GlobalConfiguration
    STORES["ZENML_LOCAL_STORES_PATH"] = GlobalConfiguration().local_stores_path
    Client().create_secret("both", {{"user_id": os.environ["WHO"], "api_key": os.environ["KEY"]}})
    run = organized.with_options(settings={{"docker": DockerSettings(environment=STORES)}})()
    print("RESULT", run.steps["where"].output.load())
    print("LEFT", sorted(name for name in os.environ if name.startswith("LIGHTNING_")))
    Client().delete_secret("both")
""",
        LIGHTNING_CLOUD_URL=cloud["LIGHTNING_CLOUD_URL"],
        WHO=cloud["LIGHTNING_USER_ID"],
        KEY=cloud["LIGHTNING_API_KEY"],
    )
    assert code == 0, output
    assert f"RESULT {ORGANIZATION}" in output
    assert "LEFT ['LIGHTNING_CLOUD_URL', 'LIGHTNING_NATIVE_HOME']" in output
    assert cloud["LIGHTNING_API_KEY"] not in output
    workbench.assert_nothing_left()
