"""The record that outlives a stream: for now who may publish and who may watch; later cases, timeline and custody."""
