"""A cloud in the memory of this process: no machine, no file, no network, the same answers as the real one.

It understands the few commands that the engine sends to studios and jobs. A function decides the result of each step.
Nothing happens by itself: a command, a job or a pipeline advances whenever its state is read.
"""

from lightning_native.lightning.memory.cloud import MemoryCloud
from lightning_native.lightning.memory.job import MemoryJob
from lightning_native.lightning.memory.pipeline import MemoryPipeline, MemorySchedule
from lightning_native.lightning.memory.process import Behaviour, Command, do_nothing
from lightning_native.lightning.memory.studio import MemoryStudio

__all__ = [
    "Behaviour",
    "Command",
    "MemoryCloud",
    "MemoryJob",
    "MemoryPipeline",
    "MemorySchedule",
    "MemoryStudio",
    "do_nothing",
]
