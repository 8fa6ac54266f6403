"""AI models: what is said, who is seen, what is in the picture. Empty until the analysis issues fill it."""
