"""The HTTP endpoints of a local cloud, one file a resource: requests in, answers out."""
