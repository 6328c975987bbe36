"""The files of studios and of the drive: listed, uploaded, put together from parts."""
