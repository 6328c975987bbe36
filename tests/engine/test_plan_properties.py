"""Plans of any content survive their way through JSON."""

from hypothesis import given
from hypothesis import strategies as st

from lightning_native.engine.plan import RunPlan


@given(st.builds(RunPlan))
def test_any_plan_survives_json(plan: RunPlan) -> None:
    # Plans are built by the fields' types, so that new fields are tested too.
    # The comparison is by text, because a number may be NaN, which does not equal itself.
    assert repr(RunPlan.from_json(plan.to_json())) == repr(plan)
