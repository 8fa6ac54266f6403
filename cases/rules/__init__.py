"""What the law has an officer say, and what is said that must not be: rules as data, over words. No I/O but loading."""
