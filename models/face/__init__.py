"""Faces: where they are, how well they can be seen, and what is alike. No media, no settings, no gallery on disk."""
