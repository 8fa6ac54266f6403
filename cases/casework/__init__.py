"""What handlers do with the record: cases, steps, items, notes, officers, and which recordings belong to what.

Every function takes the appender's connection and returns its result and the facts that go into the same transaction.
"""
