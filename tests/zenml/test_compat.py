"""Renamed names of ZenML: a rename in its next version disables one adaptation of ours, and every step starts."""

import re

import pytest
from tests.support.workbench import Workbench

# Each name with the consequence of its absence in the step's log, if there is one.
NAMES = {
    "publish_failed_step_run": "a step that is stopped, or loses its machine, may be shown as failed",
    "_handle": "a step that saves its work when it is to end may be told so again",
    "_finalize_shutdown": "a step that is to end asks ZenML why, which takes a moment",
    "SignalHandler": "a step that saves its work when it is to end may be told so again",
    "RunStoppedException": "",
    "RunInterruptedException": "",
    "_load_active_artifact_store": "",
    "ENTRYPOINT_CONFIG_SOURCE_OPTION": "",
    "STEP_NAME_OPTION": "",
    "STEP_RUN_ID_OPTION": "",
    "PipelineEntrypointConfiguration": "",
    "DynamicPipelineEntrypointConfiguration": "",
    "StepOperatorEntrypointConfiguration": "",
}

# Code that renames a word in all of ZenML's source during its import.
RENAME = r"""
import importlib.machinery, os, re, sys

WORD = re.compile(rf"\b{os.environ['RENAMED']}\b") if "RENAMED" in os.environ else None

class Renamed(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        path = self.get_filename(fullname)
        text = WORD.sub("of_the_next_version", self.get_data(path).decode())
        return compile(text, path, "exec", dont_inherit=True)

class Finder:
    @staticmethod
    def find_spec(fullname, path=None, target=None):
        if not fullname.startswith("zenml."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec and type(spec.loader) is importlib.machinery.SourceFileLoader:
            with open(spec.origin) as file:
                if WORD.search(file.read()):
                    spec.loader = Renamed(fullname, spec.origin)
        return spec

if WORD:
    sys.meta_path.insert(0, Finder)
"""

PIPELINE = """
import sys
from zenml import pipeline, step

def lacks(name: str) -> str:
    specs = [getattr(module, "__spec__", None) for module in sys.modules.values()]
    loaders = {type(spec.loader).__name__ for spec in specs if spec}
    assert "Renamed" in loaders, loaders
    return name

@pipeline(enable_cache=False)
def renamed() -> None:
    for name in NAMES:
        variables = {"RENAMED": name, "PYTHONPATH": FOLDER}
        step(lacks).with_options(environment=variables)(name, id=f"lacks_{name.lower()}")

if __name__ == "__main__":
    renamed()
"""


@pytest.mark.spread(5)
def test_a_step_runs_to_its_end_whatever_name_zenml_no_longer_has(workbench: Workbench) -> None:
    folder = workbench.write("renaming/sitecustomize.py", RENAME).parent
    code, output = workbench.run(PIPELINE.replace("NAMES", repr(list(NAMES))).replace("FOLDER", repr(str(folder))))
    assert code == 0, output
    assert workbench.statuses() == dict.fromkeys(("run", *(f"lacks_{name.lower()}" for name in NAMES)), "completed")
    for name, consequence in NAMES.items():
        told = re.findall(rf"^\[lacks_{name.lower()}\].*has no .*$", output, re.MULTILINE)
        assert bool(told) == bool(consequence), told
        assert len(told) == len(set(told))
        assert not consequence or any(consequence in line for line in told)


def test_an_entrypoint_that_is_not_there_says_so_when_it_is_run() -> None:
    from lightning_native.zenml.compat import entrypoint_class

    lacking = entrypoint_class("entrypoints.pipeline_entrypoint_configuration", "Nothing")
    with pytest.raises(NotImplementedError, match="has no Nothing"):
        lacking.__new__(lacking).run()
