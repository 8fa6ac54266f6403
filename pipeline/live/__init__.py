"""Feeds for viewers: the same fragments, framed for a browser. Knows the hub, never a user."""
