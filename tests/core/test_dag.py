import json
import os
from pathlib import Path

import pytest

from lightning_native import Dag, Scheduler
from lightning_native.cli import main
from lightning_native.errors import CycleError, DagError, UnknownNodeError

DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def test_order_generations_and_reach():
    dag = Dag(DIAMOND)
    assert dag.order() == ["a", "b", "c", "d"]
    assert dag.generations() == [["a"], ["b", "c"], ["d"]]
    assert dag.descendants("b") == ["d"]
    assert dag.ancestors("d") == ["a", "b", "c"]
    assert dag.critical_path({"a": 1, "b": 1, "c": 5, "d": 1}) == ["a", "c", "d"]
    assert len(dag) == 4
    assert "a" in dag
    assert 1 not in dag


def test_nothing_is_a_graph_too():
    assert Dag({}).order() == []
    assert Dag({}).generations() == []
    assert Dag({}).critical_path({}) == []
    assert Scheduler(Dag({})).is_done


def test_a_cycle_is_named_in_the_direction_work_flows():
    with pytest.raises(CycleError) as caught:
        Dag({"a": ["c"], "b": ["a"], "c": ["b"], "x": []})
    cycle = caught.value.cycle
    assert cycle[0] == cycle[-1]
    assert "".join(cycle) in {"abca", "bcab", "cabc"}
    assert " -> ".join(cycle) in str(caught.value)


def test_a_self_loop_is_a_cycle():
    with pytest.raises(CycleError) as caught:
        Dag({"a": ["a"]})
    assert caught.value.cycle == ["a", "a"]


def test_bad_graphs_are_errors_that_name_the_node():
    with pytest.raises(UnknownNodeError, match='"b" has the upstream node "z"'):
        Dag({"b": ["z"]})
    with pytest.raises(DagError, match='"b" names its upstream node "a" twice'):
        Dag({"a": [], "b": ["a", "a"]})
    with pytest.raises(UnknownNodeError, match='"nope"'):
        Dag(DIAMOND).ancestors("nope")
    with pytest.raises(TypeError, match="give a list of names"):
        Dag({"a": [], "b": "a"})
    with pytest.raises(DagError, match='"b" has no duration'):
        Dag({"a": [], "b": []}).critical_path({"a": 1})
    with pytest.raises(DagError, match='"a" has the duration -1'):
        Dag({"a": []}).critical_path({"a": -1})


def test_ready_respects_max_parallel_and_urgency():
    scheduler = Scheduler(
        Dag({"short": [], "long": [], "after": ["long"]}), max_parallel=1, durations={"short": 5, "after": 9}
    )
    assert scheduler.ready() == ["long"]
    scheduler.start("long")
    assert scheduler.ready() == []
    with pytest.raises(DagError, match="max_parallel"):
        scheduler.start("short")
    scheduler.succeed("long")
    assert scheduler.ready() == ["after"]


def test_without_durations_the_longest_chain_goes_first():
    assert Scheduler(Dag({"single": [], "head": [], "tail": ["head"]})).ready() == ["head", "single"]


def run(scheduler, *nodes):
    for node in nodes:
        scheduler.start(node)
        scheduler.succeed(node)


def states(scheduler, nodes="abcd"):
    return {node: scheduler.state(node) for node in nodes}


def test_after_a_failure_only_descendants_are_skipped():
    scheduler = Scheduler(Dag(DIAMOND))
    run(scheduler, "a")
    scheduler.start("b")
    scheduler.fail("b")
    assert states(scheduler) == {"a": "succeeded", "b": "failed", "c": "ready", "d": "skipped"}
    run(scheduler, "c")
    assert scheduler.is_done


@pytest.mark.parametrize(("mode", "to_cancel"), [("stop", []), ("fail_fast", ["c"])])
def test_stopping_modes_start_nothing_more_and_say_what_to_cancel(mode, to_cancel):
    scheduler = Scheduler(Dag(DIAMOND | {"e": []}), on_failure=mode)
    run(scheduler, "a")
    scheduler.start("b")
    scheduler.start("c")
    scheduler.fail("b")
    assert scheduler.ready() == []
    assert states(scheduler, "bcde") == {"b": "failed", "c": "running", "d": "skipped", "e": "skipped"}
    assert scheduler.to_cancel() == to_cancel
    assert scheduler.running() == ["c"]
    assert not scheduler.is_done
    scheduler.skip("c")
    assert scheduler.is_done


@pytest.mark.parametrize("mode", ["continue", "stop", "fail_fast"])
def test_a_retry_brings_back_what_the_failure_took(mode):
    scheduler = Scheduler(Dag(DIAMOND | {"e": []}), on_failure=mode)
    run(scheduler, "a")
    scheduler.start("b")
    scheduler.fail("b")
    scheduler.retry("b")
    assert states(scheduler, "abcde") == {"a": "succeeded", "b": "ready", "c": "ready", "d": "waiting", "e": "ready"}
    scheduler.start("c")
    scheduler.retry("c")
    run(scheduler, "e", "b", "c", "d")
    assert scheduler.is_done


def test_a_skipped_node_takes_its_descendants_along_and_stays_skipped():
    scheduler = Scheduler(Dag(DIAMOND))
    scheduler.skip("c")
    run(scheduler, "a")
    scheduler.start("b")
    scheduler.fail("b")
    scheduler.retry("b")
    run(scheduler, "b")
    assert states(scheduler) == {"a": "succeeded", "b": "succeeded", "c": "skipped", "d": "skipped"}
    assert scheduler.is_done


def test_wrong_transitions_are_errors_that_name_node_and_state():
    scheduler = Scheduler(Dag(DIAMOND))
    with pytest.raises(DagError, match='cannot start node "b": it is waiting, not ready'):
        scheduler.start("b")
    with pytest.raises(DagError, match='cannot succeed node "a": it is ready, not running'):
        scheduler.succeed("a")
    run(scheduler, "a")
    for transition in (scheduler.start, scheduler.fail, scheduler.retry, scheduler.skip):
        with pytest.raises(DagError, match='node "a": it is succeeded'):
            transition("a")
    with pytest.raises(UnknownNodeError, match='"nope"'):
        scheduler.start("nope")


def test_bad_scheduler_arguments_are_errors():
    with pytest.raises(DagError, match="max_parallel is 0"):
        Scheduler(Dag(DIAMOND), max_parallel=0)
    with pytest.raises(ValueError, match="fail_fast"):
        Scheduler(Dag(DIAMOND), on_failure="never")
    with pytest.raises(UnknownNodeError):
        Scheduler(Dag(DIAMOND), durations={"z": 1})


def test_command_line_orders_draws_and_names_a_cycle(tmp_path, capsys):
    graph, durations = tmp_path / "graph.json", tmp_path / "durations.json"
    graph.write_text(json.dumps({"d": ["b"], "b": ['a "q"'], 'a "q"': []}))
    durations.write_text(json.dumps({"d": 1, "b": 2.5, 'a "q"': 0}))
    assert main(["dag", str(graph)]) == 0
    assert capsys.readouterr().out == 'a "q"\nb\nd\n'
    assert main(["dag", str(graph), "--durations", str(durations), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seconds"] == 3.5
    assert main(["dag", str(graph), "--mermaid"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["flowchart TD", '    n0["a #34;q#34;"]']
    graph.write_text('{"a": ["b"], "b": ["a"]}')
    assert main(["dag", str(graph)]) == 1
    assert capsys.readouterr().err.startswith("error: the graph has a cycle: ")
    graph.write_text('{"a": [], "a": []}')
    assert main(["dag", str(graph)]) == 1
    assert "twice" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["device", "folder", "pipe", "nested"])
def test_a_file_that_has_no_end_or_no_bottom_is_one_clear_error(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "graph.json"
    if kind == "device":
        file = Path("/dev/zero")
    elif kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.write_text('{"a":' + "[" * 200_000)
    assert main(["dag", str(file)]) == 1
    assert capsys.readouterr().err.startswith(f"error: cannot read {file}: ")
