"""Notebooks, run by nbclient."""

from __future__ import annotations

import importlib.util
import os
import sys

from .errors import DriverError, say
from .execution import PIP, call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def execute_notebook(path: str, spec: Mapping[str, Any]) -> int:
    """Run a notebook's cells, except those with an excluded tag, and save it with its results, however it ends."""
    if not os.path.exists(path):
        raise DriverError(f"the notebook {path} is not there")
    if not (importlib.util.find_spec("nbclient") and importlib.util.find_spec("ipykernel")):
        say("installing nbclient and ipykernel, which the notebook needs")
        if call([*PIP, "install", "--quiet", "nbclient", "ipykernel"]):
            raise DriverError("nbclient and ipykernel cannot be installed; install them in the studio")
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    tags = spec.get("excludeTags") or []
    excluded = {tags} if isinstance(tags, str) else set(tags)
    encoding = spec.get("notebookEncoding") or "utf-8"
    with open(path, encoding=encoding) as stream:
        notebook: Any = nbformat.read(stream, as_version=4)  # type: ignore[no-untyped-call]  # it has no types

    class Client(NotebookClient):
        async def async_execute_cell(self, cell: Any, *args: Any, **options: Any) -> Any:
            if excluded.intersection(cell.get("metadata", {}).get("tags", [])):
                return cell
            try:
                return await super().async_execute_cell(cell, *args, **options)
            finally:
                show_output(cell)

    client = Client(notebook, kernel_name="python3", resources={"metadata": {"path": os.path.dirname(path)}})
    try:
        client.execute()
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    except DeadKernelError:
        raise DriverError("the kernel of the notebook died") from None
    finally:
        with open(path, "w", encoding=encoding) as stream:
            nbformat.write(notebook, stream)  # type: ignore[no-untyped-call]  # it has no types
    return 0


def show_output(cell: Any) -> None:
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            print(output.text, end="", flush=True)
        elif output.output_type == "execute_result":
            print(output.data.get("text/plain", ""), flush=True)
