"""Comparison of the galaxies of a module with real ones.

`validate` compares the galaxies of a module with real galaxies and with their parametric fits;
`write_report` writes the result.  Needs the extra ``validate``.
"""

__all__ = ["Comparison", "RealSample", "Settings", "Validation", "card_figures", "validate",
           "write_report"]

from .comparison import Comparison, RealSample
from .report import card_figures, write_report
from .run import Validation, validate
from .settings import Settings
