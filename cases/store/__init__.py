"""The database of the record: tables, the way to them, and how they came to be."""
