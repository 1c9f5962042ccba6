"""Save every file to a remote storage and to a mirror on local disk."""
