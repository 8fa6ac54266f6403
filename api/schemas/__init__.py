"""The shapes of HTTP bodies."""
