"""The dialect of Lightning: jobs as arguments of the SDK's `Job.run`, and back from a live job without loss."""

from lightning_native.jobs.lightning.extraction import extract, extract_job
from lightning_native.jobs.lightning.spec import LightningJobSpec, Substitutes
from lightning_native.jobs.lightning.translation import translate

__all__ = ["LightningJobSpec", "Substitutes", "extract", "extract_job", "translate"]
