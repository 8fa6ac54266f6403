"""Bad bytes for every reader of bytes: `python -m tests.fuzz` (make fuzz), and a short run among the tests."""
