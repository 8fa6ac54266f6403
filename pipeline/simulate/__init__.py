"""Devices as the outside sees them: drawn scenes, encoded live and published over real RTMP, for demo and bench."""
