"""Files that docks, phones and people send in: resumable, checked, kept as they came, recorded where they are media."""
