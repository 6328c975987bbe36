"""A check: one assumption about the platform, and the function that compares it with what an experiment saw."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import Any, Literal

from lightning_native.conformance.experiment import Experiment, Seen, UnseenError

Verdict = Literal["as assumed", "different", "not checkable"]
AS_ASSUMED: Verdict = "as assumed"
DIFFERENT: Verdict = "different"
NOT_CHECKABLE: Verdict = "not checkable"
VERDICTS = (AS_ASSUMED, DIFFERENT, NOT_CHECKABLE)


@dataclass(frozen=True)
class Outcome:
    """The result of a check; `measured` has values by the names of the local cloud's parts."""

    verdict: Verdict
    seen: str = ""
    measured: Mapping[str, float | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        id: its stable name, by which reports and `docs/platform.md` know it.
        topic: the part of the platform that it is about.
        assumption: one sentence.
        expected: the observation that counts as assumed.
        experiment: what has to be done for it.
        judge: compares what the experiment saw with the assumption.
    """

    id: str
    topic: str
    assumption: str
    expected: str
    experiment: Experiment
    judge: Callable[[Seen], Outcome]

    def carry_out(self, seen: Seen) -> Outcome:
        """Return the outcome; what the experiment could not see is not checkable."""
        try:
            return self.judge(seen)
        except UnseenError as error:
            return Outcome(NOT_CHECKABLE, str(error))


class Topic:
    """The checks of one topic, in the order of their file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.checks: list[Check] = []

    def check(self, experiment: Experiment, expected: str) -> Callable[[Callable[[Seen], Outcome]], Check]:
        """Return the decorator that makes a check of a function: its name is the id, its docstring the assumption."""

        def add(judge: Callable[[Seen], Outcome]) -> Check:
            name = judge.__name__.replace("_", "-")
            assumption = " ".join(cleandoc(judge.__doc__ or "").split())
            made = Check(name, self.name, assumption, expected, experiment, judge)
            self.checks.append(made)
            return made

        return add


def holds(truth: object, seen: Any = "", **measured: float | bool) -> Outcome:
    """Return that an assumption holds, or that it does not, with what was seen and measured."""
    return Outcome(AS_ASSUMED if truth else DIFFERENT, str(seen), measured)


def not_checkable(reason: str) -> Outcome:
    """Return that a check cannot be carried out here."""
    return Outcome(NOT_CHECKABLE, reason)
