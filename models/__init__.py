"""AI models: what is said, who is seen, what is in the picture; which there are, and whether they may be loaded."""
