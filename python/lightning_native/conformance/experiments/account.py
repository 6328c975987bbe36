"""The look at the account: its teamspace, cloud accounts and price lists. It uses no machine."""

from lightning_native.conformance.experiment import Bench, Experiment, Seen, stage
from lightning_native.lightning.inspection.records import (
    cloud_accounts,
    listed_machines,
    status_of_missing_job,
    teamspaces_named,
)
from lightning_native.lightning.offers import fetch_offers


def _look(bench: Bench, seen: Seen) -> None:
    with stage(seen):
        seen["default_account"], seen["accounts"] = cloud_accounts(bench.teamspace)
        chosen = seen["default_account"]
        wanted = dict.fromkeys([*([chosen] if chosen else []), *seen["accounts"]])
        seen["machines"] = {account: listed_machines(bench.teamspace, account) for account in wanted}
    with stage(seen):
        seen["offers"] = fetch_offers(bench.teamspace)
    with stage(seen):
        seen["namesakes"] = teamspaces_named(bench.teamspace)
    seen["missing_job"] = status_of_missing_job(bench.teamspace)
    with stage(seen):
        seen["missing_studio"] = bench.cloud.find_studio(bench.name("that is not there"))
        seen["missing_jobs"] = bench.cloud.find_jobs(bench.name("that is not there"))
        seen["missing_pipeline"] = bench.cloud.find_pipeline(bench.name("that is not there"))


ACCOUNT = Experiment("account", "reads the price lists and looks for things that are not there", _look)
