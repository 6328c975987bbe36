"""Names of studios and jobs: those asked for, and those given."""

import re

from lightning_native.conformance.check import Outcome, Topic, holds
from lightning_native.conformance.experiment import Seen
from lightning_native.conformance.experiments.jobs import ENDS, JOB
from lightning_native.conformance.experiments.others import IMAGE
from lightning_native.conformance.experiments.studio import STUDIO

TOPIC = Topic("Names")


@TOPIC.check(STUDIO, "the name asked for")
def studio_keeps_its_name(seen: Seen) -> Outcome:
    """A studio keeps a name of small letters, digits and hyphens, such as ours."""
    return holds(seen["name"] == seen["asked_name"], f"asked for {seen['asked_name']}, got {seen['name']}")


@TOPIC.check(JOB, "the name asked for")
def job_keeps_its_name(seen: Seen) -> Outcome:
    """A job keeps a name of small letters, digits and hyphens, such as ours."""
    return holds(seen["name"] == seen["asked_name"], f"asked for {seen['asked_name']}, got {seen['name']}")


@TOPIC.check(IMAGE, "the name asked for, of up to 63 characters")
def longest_name_is_kept(seen: Seen) -> Outcome:
    """A job keeps the longest name that we ask for."""
    asked, given = seen["asked_name"], seen["name"]
    return holds(given == asked, f"{len(asked)} characters became {len(given)}")


@TOPIC.check(ENDS, "small letters, digits and hyphens only")
def job_name_becomes_a_slug(seen: Seen) -> Outcome:
    """The platform gives a job small letters for capitals, and hyphens for other characters."""
    given = seen["name"]
    return holds(re.fullmatch(r"[a-z0-9-]+", given) is not None, f"asked for {seen['asked_name']}, got {given}")


@TOPIC.check(ENDS, "the name asked for, a hyphen and something")
def taken_name_gets_a_suffix(seen: Seen) -> Outcome:
    """A job under a name that is taken is accepted, and gets a suffix after a hyphen."""
    first, second = seen["name"], seen["second_name"]
    return holds(second.startswith(f"{first}-"), f"{first} was taken, got {second}")


@TOPIC.check(JOB, "exactly one job of the name, which the list has")
def job_is_found_by_name(seen: Seen) -> Outcome:
    """The list of jobs has a job as soon as it is submitted, under the name that it got."""
    return holds(seen["listed"] and seen["found"] == [seen["name"]], f"found {', '.join(seen['found']) or 'nothing'}")


@TOPIC.check(JOB, "LIGHTNING_JOB_NAME is the name that the job has")
def job_knows_its_name(seen: Seen) -> Outcome:
    """LIGHTNING_JOB_NAME in a job is the name that the platform has given, by which a duplicate knows itself."""
    own = seen["facts"]["values"].get("LIGHTNING_JOB_NAME")
    return holds(own == seen["name"], f"LIGHTNING_JOB_NAME is {own}, the job is {seen['name']}")
