"""The controller: its process, the process that waits for it, and the processes that have the credentials."""
