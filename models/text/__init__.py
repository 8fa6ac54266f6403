"""Text in pictures: what reads it, what of it speaks of a certificate, and which pictures are worth reading."""
