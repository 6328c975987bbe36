"""Changes to a schedule on Lightning: `python -m lightning_native.zenml.submit.change_schedule update|delete NAME`.

A process of its own applies them, so that no other has the credentials among its variables.
"""

import argparse
import sys
from collections.abc import Mapping

from lightning_native.engine.process.credentialed import run
from lightning_native.engine.schedules import find_schedule
from lightning_native.errors import LightningNativeError, PlanError
from lightning_native.lightning.session import connect


def change_schedule(environ: Mapping[str, str], *arguments: str) -> None:
    """Update or delete a schedule, in a process of its own.

    Raises:
        CloudError: it could not be changed; the message has the reason.
    """
    run(__name__, *arguments, environ=environ)


def main() -> int:
    """Carry out the command line and return 0, or 1 if that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    update = verbs.add_parser("update")
    update.add_argument("name")
    update.add_argument("--cron")
    update.add_argument("--state", choices=("active", "paused"))
    verbs.add_parser("delete").add_argument("name")
    arguments = parser.parse_args()
    try:
        scheduled = find_schedule(connect(), arguments.name)
        if arguments.verb == "delete":
            if scheduled is not None:
                scheduled.delete()
            return 0
        if scheduled is None:
            raise PlanError(f"Lightning has no schedule {arguments.name!r}; delete it in ZenML and create it again")
        paused = None if arguments.state is None else arguments.state == "paused"
        scheduled.update(cron=arguments.cron, paused=paused)
    except LightningNativeError as error:
        sys.stderr.write(f"error: {error}\n".replace("\n", " ") + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
