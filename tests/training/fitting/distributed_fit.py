"""A fit in a process of its own, for test_distribution.py: devices are made before anything else.

    python distributed_fit.py RECIPE RUN OUTPUT CPUS
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


def main(recipe, run, output, cpus):
    # One thread an operation: sums in another order are no fault of the strategy.
    devices = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        devices[0], [tf.config.LogicalDeviceConfiguration()] * int(cpus))
    from galsim_deep_training.fit import fit
    from galsim_deep_training.recipe import read_recipe

    family = fit(read_recipe(recipe), Path(run), progress=False)
    np.savez(output, **{f"{name}_{number}": variable.numpy()
                        for name, network in family.networks.items()
                        for number, variable in enumerate(network.variables)})


if __name__ == "__main__":
    main(*sys.argv[1:])
