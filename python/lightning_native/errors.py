"""The errors that this package raises on purpose.

::

    LightningNativeError
    ├── ArchiveError (OSError)           a tree or an archive cannot be read or written
    │   └── UnsafeArchiveError           an archive that must not be extracted
    ├── InvalidNameError (ValueError)    a text that no studio can be named after
    ├── RequirementError (ValueError)    a requirement that does not parse
    │   └── ConflictError                requirements that cannot hold together
    ├── DagError (ValueError)            a graph that cannot be scheduled, or a wrong transition
    │   ├── CycleError                   .cycle: the nodes, first one repeated at the end
    │   └── UnknownNodeError             a node that the graph does not have
    ├── PlanError (ValueError)           a plan that cannot run as it is written
    │   └── UnknownMachineError          a machine that Lightning does not offer
    ├── JobError (ValueError)            a job's description that cannot be read or run
    ├── UsageError (ValueError)          a command that cannot be carried out as it is given
    ├── CredentialsError                 no way to sign in to Lightning
    ├── CloudError                       Lightning refused or failed a call
    │   ├── ControllerGoneError          the studio of a run's controller does not exist any more
    │   ├── LogUnavailableError          a job's log cannot be read in its present state
    │   ├── RateLimitedError             Lightning takes no more requests for a while
    │   ├── UnreachableError             Lightning does not answer, or fails by itself
    │   ├── BootError                    a studio's machine failed to start, or did not in time
    │   └── RefusedError                 Lightning refused a call, and would refuse it again
    │       ├── AccessRefusedError       Lightning refused the API key
    │       ├── OutOfFundsError          the account has no money left
    │       └── OutOfCapacityError       no machine of the requested kind can be had
    │           └── MachineRefusedError  the cloud account or the plan has no such machine
    ├── JournalError                     the journal is damaged, locked, or of a newer version
    ├── EmulatorError                    the local cloud cannot start or do a requested action
    ├── StaleControllerError             another process has taken over the run
    ├── RunFailedError                   a run ended with failed steps
    └── RunStoppedError                  a run was stopped before its end
"""


class LightningNativeError(Exception):
    """Base of all errors of this package; the message names the input, the problem and the remedy."""


class ArchiveError(LightningNativeError, OSError):
    """A source tree cannot be archived, or an archive cannot be read or extracted."""


class UnsafeArchiveError(ArchiveError):
    """An archive whose extraction would write outside its destination or exhaust the machine."""


class InvalidNameError(LightningNativeError, ValueError):
    """A text from which no studio name can be derived."""


class RequirementError(LightningNativeError, ValueError):
    """A requirement that does not parse; the message has file, line and text."""


class ConflictError(RequirementError):
    """Requirements that no version satisfies together; the message has both origins."""


class DagError(LightningNativeError, ValueError):
    """A graph that cannot be scheduled, or a transition that its state does not allow."""


class CycleError(DagError):
    """The graph has a cycle.

    Attributes:
        cycle: the nodes of one cycle, in order, the first repeated at the end.

    """

    def __init__(self, message: str, cycle: list[str]) -> None:
        super().__init__(message)
        self.cycle = cycle


class UnknownNodeError(DagError):
    """A node that the graph does not have."""


class PlanError(LightningNativeError, ValueError):
    """A plan that cannot run as it is written."""


class UnknownMachineError(PlanError):
    """A machine that Lightning does not offer; the message has the nearest names."""


class JobError(LightningNativeError, ValueError):
    """A job's description that cannot be read, or cannot run at its destination."""


class UsageError(LightningNativeError, ValueError):
    """A command that cannot be carried out as it is given; its exit code is 2."""


class CredentialsError(LightningNativeError):
    """Credentials for Lightning are missing or refused; the message names the place to set them."""


class CloudError(LightningNativeError):
    """Lightning refused or failed a call."""


class ControllerGoneError(CloudError):
    """The studio of a controller does not exist any more: the controller has ended its run, or a person deleted it."""


class LogUnavailableError(CloudError):
    """A job's log cannot be read in its present state: before it begins, or while its outputs are saved."""


class RateLimitedError(CloudError):
    """Lightning takes no more requests for a while.

    Attributes:
        retry_after: the seconds after which Lightning wants to be asked again; 0 if it has not said.

    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnreachableError(CloudError):
    """Lightning does not answer, or fails by itself, as in an outage; the call may have been carried out."""


class BootError(CloudError):
    """A studio's machine failed to start, or did not within its time; another studio may get one that does."""


class RefusedError(CloudError):
    """Lightning refused a call, and would refuse it again; the message has its reason."""


class AccessRefusedError(RefusedError):
    """Lightning refused the API key: it is wrong, has expired, or was deleted."""


class OutOfFundsError(RefusedError):
    """The account has no money left; top it up, and resume the run."""


class OutOfCapacityError(RefusedError):
    """No machine of the requested kind can be had now."""


class MachineRefusedError(OutOfCapacityError):
    """The cloud account or the plan has no machine of the requested kind."""


class JournalError(LightningNativeError):
    """The journal cannot be used; the message has the way out."""


class EmulatorError(LightningNativeError):
    """The local cloud cannot start, or cannot do a requested action."""


class StaleControllerError(LightningNativeError):
    """Another controller has taken over the run, so this one must not write about it any more."""


class RunFailedError(LightningNativeError):
    """A run ended with failed steps; the message names them with their reasons."""


class RunStoppedError(LightningNativeError):
    """A run was stopped before its end; nothing of it is left running."""
