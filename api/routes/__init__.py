"""One file a noun: the HTTP routes."""
