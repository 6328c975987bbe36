"""A run as one self-contained HTML page: graph, times, costs, states and output of its steps.

The page loads nothing, and runs no script but its own, which searches the steps.
"""

from lightning_native.report.content import RunReport, read_report
from lightning_native.report.page import render

__all__ = ["RunReport", "read_report", "render"]
