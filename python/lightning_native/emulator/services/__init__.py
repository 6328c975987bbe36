"""The behaviour of a local cloud, without HTTP: one file a resource, named as its endpoints are."""
