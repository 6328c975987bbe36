"""The dialect of OCI Data Science jobs, as Oracle ADS 2.8.8 to 2.11.18 speaks it.

It is reproduced to the letter, what is lost and what is odd included, so that jobs move between ADS and here; the types
of errors are those of ADS too. Where it is odd on purpose, a comment says so.
"""

from lightning_native.jobs.oci.infrastructure import translate_infrastructure, translate_job
from lightning_native.jobs.oci.manager import extract, translate

__all__ = ["extract", "translate", "translate_infrastructure", "translate_job"]
