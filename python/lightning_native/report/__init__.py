"""One self-contained HTML page a run: its graph, when its steps ran, what they cost, how they ended, what they printed.

Nothing is loaded from anywhere, and no script runs.
"""

from lightning_native.report.page import RunReport, read_report, render

__all__ = ["RunReport", "read_report", "render"]
