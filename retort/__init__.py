"""The command line, the run config, the pipeline, and the Studio entry points."""

__version__ = "0.1.0"
