"""``python -m galsim_deep`` is the command ``galsim-deep``."""

import sys

from .cli import main

sys.exit(main())
