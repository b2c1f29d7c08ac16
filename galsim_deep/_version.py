"""The version of GalSim-Deep, in the one place where everything else reads it."""

__version__ = "0.1.0"
