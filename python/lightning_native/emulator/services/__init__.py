"""The behaviour of a local cloud, without HTTP: one file a resource, under the name of its endpoints."""
