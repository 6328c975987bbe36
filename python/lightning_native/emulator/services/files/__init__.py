"""The files of studios and of the drive: found, listed, uploaded."""
