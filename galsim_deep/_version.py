"""The version of GalSim-Deep.  All other files import it from here."""

__version__ = "0.1.0"
