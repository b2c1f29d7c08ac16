"""The packages of the distribution; setup.cfg has the rest.

They lie below three folders, which setup.cfg cannot search all.
"""

from setuptools import find_packages, setup

ROOTS = {
    "galsim_deep": "galsim_deep",
    "galsim_deep.hub_modules": "hub_modules",
    "galsim_deep_training": "training/galsim_deep_training",
}
"""Packages and their folders; all packages below these folders belong to the distribution."""


def packages(roots: dict[str, str]) -> list[str]:
    """The names of these packages and of all packages in their folders."""
    names = []
    for name, folder in roots.items():
        names += [name, *(f"{name}.{below}" for below in find_packages(folder))]
    return names


if __name__ == "__main__":
    setup(packages=packages(ROOTS), package_dir=ROOTS)
