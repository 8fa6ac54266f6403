"""Decoding, in processes of their own with limits; the analysis workers will live here."""
