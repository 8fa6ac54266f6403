"""Cameras that are pulled."""
