"""Kills a process at the n-th call of one function of ours; `KILL_POINT` describes it (`tests.support.killing.points`).

Python imports this module at its start, so the product needs no hooks. Of all processes of a run, only the first one
that comes to the point dies.
"""

import importlib.abc
import importlib.util
import json
import os
import re
import signal
import sys


def _die(point):
    try:
        os.close(os.open(point["marker"], os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _watched(function, point):
    calls = [0]

    def watched(*arguments, **options):
        calls[0] += 1
        mine = calls[0] == point["number"]
        if mine and point["when"] == "before":
            _die(point)
        result = function(*arguments, **options)
        if mine:
            _die(point)
        return result

    return watched


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, point):
        self._point = point

    def find_spec(self, name, _path=None, _target=None):
        if name != self._point["module"]:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            *owners, function = self._point["function"].split(".")
            owner = module
            for part in owners:
                owner = getattr(owner, part)
            setattr(owner, function, _watched(getattr(owner, function), self._point))

        spec.loader.exec_module = exec_module
        return spec


if "KILL_POINT" in os.environ:
    _point = json.loads(os.environ["KILL_POINT"])
    # The arguments of the interpreter, because those of a module are not there yet.
    if re.search(_point["process"], " ".join(sys.orig_argv)):
        sys.meta_path.insert(0, _Finder(_point))
