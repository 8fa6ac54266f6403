"""Judgement in the server: from facts alone, behind the tail of the store. Knows no media and no HTTP."""
