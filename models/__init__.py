"""AI models: what is said, who is seen, what is in the picture; which there are, and whether they may be loaded."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
"""From 1.32 on onnxruntime reports to its maker unless this is set before it is first loaded (its Privacy.md): it looks
up an address, and keeps an id of the machine in ~/.cache. Nothing of ours calls out unasked."""
