"""One folder or file a protocol: a publisher's bytes in, `Packet`s out. Knows the vocabulary, never a reader."""
