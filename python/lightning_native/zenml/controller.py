"""The controller of a ZenML run: the engine's, whose observer publishes to ZenML.

Folders of runs name this module (`controller.json`), so it keeps its path.
"""

import argparse
import sys
from uuid import UUID

from lightning_native.engine.process.controller import RunObserver, control, controller_arguments
from lightning_native.engine.record.run_folder import RunFolder
from lightning_native.zenml.publish.observer import ZenMLObserver


def main() -> int:
    """Drive the run of the folder named on the command line and return 0 if it completed."""
    parser = controller_arguments(argparse.ArgumentParser(description=__doc__))
    parser.add_argument("--pipeline-run", type=UUID, help="the ZenML run to publish to")
    parser.add_argument("--hosting", action="store_true", help="the run's one step is a controller itself")
    arguments = parser.parse_args()
    observer = (
        ZenMLObserver(RunFolder(arguments.folder), arguments.pipeline_run, steps=not arguments.hosting)
        if arguments.pipeline_run
        else RunObserver()
    )
    return control(arguments.folder, arguments.local_cloud, observer)


if __name__ == "__main__":
    sys.exit(main())
