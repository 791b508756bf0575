"""`python -m retort` is `retort`."""

from .cli import main

raise SystemExit(main())
