"""Is the recording sound, and is something loud happening: measured from key frames and sound, judged by bounds."""
