"""Python imports this at its start where its folder is on PYTHONPATH: the guard reaches every process that way."""

import sys

import silence

sys.addaudithook(silence.guard)
