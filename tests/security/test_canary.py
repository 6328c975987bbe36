"""A secret of each kind in workflows and jobs: no command line and nothing that stays has one.

The places that may have one, and for how long, are those in the table of `docs/security.md`.
"""

import hashlib
import json

import pytest
from canary import new_canary
from watched_place import WatchedPlace, assert_kept

STEP = 'for name in WORKFLOW STEP; do printf %s "$(printenv "$name")" | sha256sum; done'
WORKFLOW = """\
name: canaries
placement: {placement}
env: {{WORKFLOW: "${{CANARY_WORKFLOW}}"}}
steps:
  a:
    command: {step}
    env: {{STEP: "${{CANARY_STEP}}"}}
  fails: {{command: "exit 3", env: {{STEP: "${{CANARY_STEP}}"}}, needs: a}}
"""


@pytest.mark.parametrize("placement", ["studio", "job", "platform"])
def test_a_workflow_keeps_its_variables(place: WatchedPlace, placement: str) -> None:
    canaries = {kind: new_canary(kind) for kind in ("workflow-env", "step-env")}
    (place.code / "workflow.yaml").write_text(WORKFLOW.format(placement=placement, step=json.dumps(STEP)))
    variables = {"CANARY_WORKFLOW": canaries["workflow-env"], "CANARY_STEP": canaries["step-env"]}
    # The SDK reports a call that fails, with its arguments.
    for match in ("POST */execute", "POST */jobs", "POST */pipelines"):
        place.cloud.faults.add("status", match=match, status=400, times=1)
    with place.watch(canaries) as watch:
        code, printed = place.call("run", "workflow.yaml", "--local", **variables)
        assert code == 1, printed
        # They were there.
        for value in canaries.values():
            assert hashlib.sha256(value.encode()).hexdigest() in printed
        assert "exit code 3" in printed
        shown = place.shown()
        assert '"commands": []' not in shown
    printed += shown
    assert_kept(watch, printed)
    assert {sighting.kind for sighting in watch.files} >= set(canaries)
