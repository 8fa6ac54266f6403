"""A case as one zip that proves itself: what is in it, how it is written, and the program that checks it."""
