import graphlib
import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lightning_native import Dag, Scheduler
from lightning_native.errors import CycleError


@st.composite
def graphs(draw, *, acyclic=True):
    size = draw(st.integers(0, 8))
    names = draw(st.permutations([f"n{number}" for number in range(size)]))
    graph = {}
    for place, name in enumerate(names):
        candidates = names[:place] if acyclic else names
        graph[name] = draw(st.lists(st.sampled_from(candidates), unique=True, max_size=4)) if candidates else []
    shuffled = draw(st.permutations(list(graph)))
    return {name: graph[name] for name in shuffled}


@given(graphs(acyclic=False))
def test_order_and_cycles_agree_with_graphlib(graph):
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError:
        with pytest.raises(CycleError) as caught:
            Dag(graph)
        cycle = caught.value.cycle
        assert cycle[0] == cycle[-1]
        assert all(before in graph[after] for before, after in itertools.pairwise(cycle))
        return
    dag = Dag(graph)
    order = dag.order()
    assert sorted(order) == sorted(graph)
    assert all(order.index(before) < order.index(node) for node in graph for before in graph[node])
    assert sorted(itertools.chain.from_iterable(dag.generations())) == sorted(graph)
    for node in graph:
        closure = set(graph[node])
        for before in reversed(order[: order.index(node)]):
            if before in closure:
                closure |= set(graph[before])
        assert set(dag.ancestors(node)) == closure
        assert all(node in dag.descendants(before) for before in closure)


@given(graphs())
def test_the_order_of_upstream_nodes_does_not_matter(graph):
    flipped = {node: upstream[::-1] for node, upstream in graph.items()}
    assert Dag(graph).order() == Dag(flipped).order()
    assert Dag(graph).generations() == Dag(flipped).generations()


@given(graphs(), st.integers(1, 3))
def test_the_scheduler_runs_everything_in_an_order_graphlib_allows(graph, max_parallel):
    scheduler, sorter = Scheduler(Dag(graph), max_parallel=max_parallel), graphlib.TopologicalSorter(graph)
    sorter.prepare()
    allowed = set()
    while not scheduler.is_done:
        allowed |= set(sorter.get_ready())
        for node in scheduler.ready():
            assert node in allowed
            scheduler.start(node)
        for node in scheduler.running():
            scheduler.succeed(node)
            sorter.done(node)
    assert not sorter.is_active()


class SchedulerMachine(RuleBasedStateMachine):
    """Any sequence of transitions, compared with the rules in their plainest form."""

    @initialize(
        graph=graphs(),
        on_failure=st.sampled_from(["continue", "stop", "fail_fast"]),
        max_parallel=st.none() | st.integers(1, 3),
    )
    def begin(self, graph, on_failure, max_parallel):
        self.graph, self.on_failure, self.max_parallel = graph, on_failure, max_parallel
        self.scheduler = Scheduler(Dag(graph), on_failure=on_failure, max_parallel=max_parallel)
        #: The caller's reports, from which every state follows.
        self.reported = {}

    def expected(self, node):
        if node in self.reported:
            return self.reported[node]
        upstream = [self.expected(before) for before in self.graph[node]]
        stopped = self.on_failure != "continue" and "failed" in self.reported.values()
        if stopped or {"failed", "skipped"} & set(upstream):
            return "skipped"
        return "ready" if all(state == "succeeded" for state in upstream) else "waiting"

    def pick(self, data, *states):
        return data.draw(st.sampled_from([node for node in self.graph if self.expected(node) in states]))

    def has(self, *states):
        return any(self.expected(node) in states for node in self.graph)

    @rule()
    def ask(self):
        assert self.scheduler.ready() == self.scheduler.ready()

    @precondition(lambda self: self.scheduler.ready())
    @rule(data=st.data())
    def start(self, data):
        node = data.draw(st.sampled_from(self.scheduler.ready()))
        self.scheduler.start(node)
        self.reported[node] = "running"

    @precondition(lambda self: self.has("running"))
    @rule(data=st.data(), state=st.sampled_from(["succeeded", "failed"]))
    def end(self, data, state):
        node = self.pick(data, "running")
        (self.scheduler.succeed if state == "succeeded" else self.scheduler.fail)(node)
        self.reported[node] = state

    @precondition(lambda self: self.has("running", "failed"))
    @rule(data=st.data())
    def retry(self, data):
        node = self.pick(data, "running", "failed")
        self.scheduler.retry(node)
        del self.reported[node]

    @precondition(lambda self: self.has("waiting", "ready", "running"))
    @rule(data=st.data())
    def skip(self, data):
        node = self.pick(data, "waiting", "ready", "running")
        self.scheduler.skip(node)
        self.reported[node] = "skipped"

    @invariant()
    def states_follow_from_what_was_reported(self):
        states = {node: self.expected(node) for node in self.graph}
        assert {node: self.scheduler.state(node) for node in self.graph} == states
        running = [node for node, state in states.items() if state == "running"]
        ready = [node for node, state in states.items() if state == "ready"]
        free = len(self.graph) if self.max_parallel is None else self.max_parallel - len(running)
        assert len(self.scheduler.ready()) == min(free, len(ready))
        assert set(self.scheduler.ready()) <= set(ready)
        assert self.scheduler.is_done == (not {"waiting", "ready", "running"} & set(states.values()))


SchedulerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=20)
TestScheduler = SchedulerMachine.TestCase
