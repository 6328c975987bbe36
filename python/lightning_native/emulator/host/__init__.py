"""The Linux below a local cloud: its processes, namespaces, files and Python environments."""
