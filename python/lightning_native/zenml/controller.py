"""The controller of a ZenML run: the engine's, whose observer publishes to ZenML.

Folders of runs name this module (`controller.json`), so it keeps its path.
"""

import argparse
import sys
from uuid import UUID

from lightning_native.engine.process.controller import RunObserver, control, controller_arguments
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.zenml.publish.observer import StepObserver, ZenMLObserver


def main() -> int:
    """Drive the run of the folder named on the command line and return 0 if it completed."""
    parser = controller_arguments(argparse.ArgumentParser(description=__doc__))
    parser.add_argument("--pipeline-run", type=UUID, help="the ZenML run to publish to")
    parser.add_argument("--hosting", action="store_true", help="the run's one step is a controller itself")
    parser.add_argument("--may-be-cached", action="store_true", help="ask ZenML's cache before a step starts")
    parser.add_argument("--step-run", type=UUID, help="the ZenML step run that the run's one step is")
    arguments = parser.parse_args()
    observer = RunObserver()
    if arguments.pipeline_run:
        observer = ZenMLObserver(
            RunFolder(arguments.folder),
            arguments.pipeline_run,
            steps=not arguments.hosting,
            may_be_cached=arguments.may_be_cached,
        )
    elif arguments.step_run:
        observer = StepObserver(arguments.step_run)
    return control(arguments.folder, arguments.local_cloud, observer)


if __name__ == "__main__":
    sys.exit(main())
