"""Decoder configurations to tracks, a module for each codec, and what its access units need. Reads no picture."""
