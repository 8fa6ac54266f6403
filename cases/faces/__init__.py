"""Faces, lawfully: the switch, galleries, persons, keys, suggestions and opinions. Knows no model and no picture."""
