"""Plans of any content survive their way through JSON."""

from hypothesis import given
from hypothesis import strategies as st

from lightning_native.engine.plan import RunPlan


@given(st.builds(RunPlan))
def test_any_plan_survives_json(plan: RunPlan) -> None:
    # Built by the fields' types, so that a new field of any of them is tried too.
    # As text, because a number may be no number.
    assert repr(RunPlan.from_json(plan.to_json())) == repr(plan)
