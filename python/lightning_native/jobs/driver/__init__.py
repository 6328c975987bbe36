"""Runs a job on its machine, and ends with the exit code of what it ran. Standard library only, Python 3.8 or later.

It travels as one file, `driver.pyz`, beside the job's code or in the job's command, and so imports nothing else of
ours. A notebook needs nbclient and a kernel, which are installed when they are missing.
"""
