"""The variables with which a submitter configures the processes of its steps."""

# The run's id, if it has a controller; each run of a schedule has an id of Lightning's instead.
ENV_RUN_ID = "LIGHTNING_NATIVE_RUN_ID"
# The form in which the code reaches the step, as the settings name it.
ENV_PACKAGING = "LIGHTNING_NATIVE_PACKAGING"
# A folder that is removed when the step ends.
ENV_SCRATCH = "LIGHTNING_NATIVE_SCRATCH"
# The file that a process creates when ZenML has recorded its end, where the process that started it compares.
ENV_CONFIRMATION = "LIGHTNING_NATIVE_CONFIRMATION"
# Set where the step may be forked from a process that other steps of its machine have in common.
ENV_WARM_STEPS = "LIGHTNING_NATIVE_WARM_STEPS"
# Set where the step's machine may be interrupted.
ENV_INTERRUPTIBLE = "LIGHTNING_NATIVE_INTERRUPTIBLE"
# The address of the step's studio or pipeline; of a job, only its teamspace's address is known beforehand.
ENV_STEP_URL = "LIGHTNING_NATIVE_STEP_URL"
ENV_TEAMSPACE_URL = "LIGHTNING_NATIVE_TEAMSPACE_URL"
# The start and end of the schedule, and whether the step checks the clock.
ENV_WINDOW = "LIGHTNING_NATIVE_SCHEDULE_WINDOW"
# Set on a machine of the local cloud, which has the account's variables but not the cloud's root.
ENV_ON_LOCAL_CLOUD = "LIGHTNING_NATIVE_ON_LOCAL_CLOUD"
# The number of machines that run the step at once, if there is more than one.
ENV_MACHINES = "LIGHTNING_NATIVE_MACHINES"
# The user's: tracebacks with all frames, also those of ZenML and of this package.
ENV_VERBOSE = "LIGHTNING_NATIVE_VERBOSE"
# Lightning's own.
ENV_JOB_NAME = "LIGHTNING_JOB_NAME"
ENV_PIPELINE_ID = "LIGHTNING_PIPELINE_ID"
