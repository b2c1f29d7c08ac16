"""Can anyone tell a module's galaxies from real ones?

`validate` compares the galaxies of a module with real ones and with their parametric fits;
`write_report` writes what it found.  Needs the extra ``validate``.
"""

__all__ = ["Settings", "Validation", "chief_figures", "validate", "write_report"]

from .report import chief_figures, write_report
from .run import Validation, validate
from .summary import Settings
