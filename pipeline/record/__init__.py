"""The recorder: segments on disk, their hash chain, recovery after a crash, and the verifier."""
