"""The custody log: proof that no fact was changed, taken out, moved or slipped in."""
