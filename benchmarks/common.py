"""What several benchmarks need."""

from pathlib import Path

import numpy as np


def catalogue(model, count, seed):
    """Columns over the middle of what the module knows, and ids: name -> array."""
    rng = np.random.default_rng(seed)
    table = {column.name: rng.uniform(column.quantiles["0.25"], column.quantiles["0.75"], count)
             for column in model.card.columns}
    return dict(table, id=np.arange(count))


def resident():
    """Resident memory of this process [MB]."""
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024
