"""The environment variables by which a submitter speaks to the processes of its steps."""

# The run's id, where it has a controller; each run that a schedule makes gets an id of Lightning's.
ENV_RUN_ID = "LIGHTNING_NATIVE_RUN_ID"
# How the code gets there, as the settings name it.
ENV_PACKAGING = "LIGHTNING_NATIVE_PACKAGING"
# A folder that is removed when the step ends.
ENV_SCRATCH = "LIGHTNING_NATIVE_SCRATCH"
# There where the step's machine may be taken away.
ENV_INTERRUPTIBLE = "LIGHTNING_NATIVE_INTERRUPTIBLE"
# The page of the studio or pipeline that the step runs in; of a job only its teamspace's is known beforehand.
ENV_STEP_URL = "LIGHTNING_NATIVE_STEP_URL"
ENV_TEAMSPACE_URL = "LIGHTNING_NATIVE_TEAMSPACE_URL"
# When a step of a scheduled run may begin.
ENV_WINDOW = "LIGHTNING_NATIVE_SCHEDULE_WINDOW"
# In a process on a machine of the local cloud: it has the account's variables, and sees no root.
ENV_ON_LOCAL_CLOUD = "LIGHTNING_NATIVE_ON_LOCAL_CLOUD"
# Lightning's own.
ENV_JOB_NAME = "LIGHTNING_JOB_NAME"
ENV_PIPELINE_ID = "LIGHTNING_PIPELINE_ID"
