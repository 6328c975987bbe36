"""The endpoints of files: those of studios and of the drive, and the folders and connections in it."""
