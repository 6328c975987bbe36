"""The dialect of OCI Data Science jobs, as in Oracle ADS 2.8.8 to 2.11.18.

It is reproduced to the letter, with its losses and oddities, so that jobs move between ADS and this package; the types
of errors are those of ADS too. A comment marks each deliberate oddity.
"""

from lightning_native.jobs.oci.infrastructure import translate_infrastructure, translate_job
from lightning_native.jobs.oci.manager import extract, translate

__all__ = ["extract", "translate", "translate_infrastructure", "translate_job"]
