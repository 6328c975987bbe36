"""The native verbs from eight threads at once, while Python code runs beside them."""

from concurrent.futures import ThreadPoolExecutor

from lightning_native import (
    Dag,
    Scheduler,
    create_archive,
    extract_archive,
    merge_requirements,
    sanitize_studio_name,
    select_files,
)
from lightning_native.errors import DagError


def test_eight_threads_get_the_answers_of_one(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(40):
        (tree / f"{number}.py").write_text(str(number) * 1000)
    graph = {f"n{node}": [f"n{node // 2}"] if node else [] for node in range(500)}

    def work(number):
        report = create_archive(tree, tmp_path / f"{number}.tar.gz")
        extract_archive(tmp_path / f"{number}.tar.gz", tmp_path / f"out-{number}")
        again = select_files(tmp_path / f"out-{number}").files
        lines = merge_requirements([[f"a>={node}" for node in range(50)]]).lines
        return report.digest, again, lines, Dag(graph).order(), sanitize_studio_name("A b")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(16)))
    assert all(answer == answers[0] for answer in answers)


def test_eight_threads_share_one_scheduler_and_start_each_node_once():
    scheduler = Scheduler(Dag({f"n{node}": [] for node in range(2000)}))
    started = []

    def work(_):
        while not scheduler.is_done:
            for node in scheduler.ready()[:8]:
                try:
                    scheduler.start(node)
                except DagError:  # another thread was faster
                    continue
                started.append(node)
                scheduler.succeed(node)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert sorted(started) == sorted(f"n{node}" for node in range(2000))
