"""What happened, durably: outbox, database, migrations."""
