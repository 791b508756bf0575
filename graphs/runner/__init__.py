"""The episode runner: plays tasks at a table, in this process or in workers, and records every episode in a ledger."""
