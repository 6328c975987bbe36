"""A run as one self-contained HTML page: graph, times, costs, states and output of its steps.

The page loads nothing and runs no script.
"""

from lightning_native.report.page import RunReport, read_report, render

__all__ = ["RunReport", "read_report", "render"]
