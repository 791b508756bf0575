"""The distillery: facts -> exam -> episodes -> ledger -> kept and dropped -> datasets."""
