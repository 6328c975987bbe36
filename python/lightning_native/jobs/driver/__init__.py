"""The driver: runs a job on its machine, and ends with its exit code. Standard library only, Python 3.8 or later.

It travels as one file, `driver.pyz`, beside the job's code or in the job's command, and therefore imports nothing else
of ours. A notebook needs nbclient and a kernel, which are installed if they are missing.
"""
