"""The command ``galsim-deep-train``, which makes a module from a recipe in three steps.

A fourth one, ``fetch``, comes first where a recipe uses data that must be downloaded.
"""

__all__ = ["main"]

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from galsim import GalSimError

from galsim_deep.runtime.threads import available_cores

from .data.external import EXTERNAL_DATA, external, external_folder
from .recipe import Recipe, read_recipe


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters:
        arguments:  Arguments of the command line [default: those of the process].

    Returns:
        the exit status: 0, or 1 after an error, which is printed to standard error.
    """
    parser = argparse.ArgumentParser(
        prog="galsim-deep-train",
        description="Train a generative galaxy model: data, fit and export, driven by a recipe.")
    commands = parser.add_subparsers(required=True, metavar="fetch|data|fit|export")
    text = "download data that the project may not redistribute"
    command = commands.add_parser("fetch", help=text, description=text)
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("names", nargs="*", default=[], metavar="name", help="which data")
    what.add_argument("--list", action="store_true", help="list the data and where they are")
    command.add_argument("--from", type=Path, dest="local", metavar="FOLDER",
                         help="take the files from this folder instead of downloading them")
    command.set_defaults(action=_fetch)
    for name, action, text in [
            ("data", _data, "build the HDF5 data set"),
            ("fit", _fit, "fit the model; continues from the last checkpoint"),
            ("export", _export, "write the fitted model as a module")]:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("recipe", type=Path, help="the recipe, a YAML file")
        command.add_argument("--run", type=Path, help="working folder [default: runs/NAME]")
        command.add_argument("--quiet", action="store_true", help="no progress bars")
        command.set_defaults(action=action)
        if name == "data":
            command.add_argument("--processes", type=_process_count, default=available_cores(),
                                 help="number of processes that make examples [default: one per "
                                      "core]")
            command.add_argument("--new", choices=("held-out", "training"),
                                 help="make new examples for validation instead: of galaxies held "
                                      "out from training, or of those used in training")
            command.add_argument("--count", type=int, default=2500,
                                 help="number of new examples [default: 2500]")
            command.add_argument("--output", type=Path,
                                 help="the file [default: data.h5, or new_held-out.h5 or "
                                      "new_training.h5, in the working folder]")
        if name == "export":
            command.add_argument("--output", type=Path, default=Path("hub_modules"),
                                 help="the module is written to OUTPUT/NAME [default: hub_modules]")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        options.action(options)
    except (GalSimError, OSError) as err:
        print(f"galsim-deep-train: {err}", file=sys.stderr)
        return 1
    return 0


def _process_count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"it is {count}, and must be at least 1")
    return count


def _fetch(options: argparse.Namespace) -> None:
    if options.list:
        print(f"Folder: {external_folder()}")
        for data in EXTERNAL_DATA.values():
            place = data.file_name if data.path.is_file() else "not on this machine"
            print(f"{data.name}: {data.summary}; {data.size / 1e6:.1f} MB; {place}")
    # An unknown name is found before anything is downloaded.
    for data in [external(name) for name in options.names]:
        print(f"{data.name}: {data.summary}\nTerms: {data.terms}.\nCite: {data.citation}.",
              flush=True)
        print(f"{data.name} -> {data.fetch(options.local)}")


def _recipe_and_run(options: argparse.Namespace) -> tuple[Recipe, Path]:
    """The recipe and the working folder."""
    recipe = read_recipe(options.recipe)
    return recipe, options.run or recipe.run_folder()


# TensorFlow is imported only by the steps that need it: worker processes of ``data`` stay small.

def _data(options: argparse.Namespace) -> None:
    recipe, run = _recipe_and_run(options)
    from .data.build import build
    name = "data.h5" if options.new is None else f"new_{options.new}.h5"
    build(recipe, options.output or run / name, options.processes, progress=not options.quiet,
          new=options.new and (options.count, options.new))


def _fit(options: argparse.Namespace) -> None:
    recipe, run = _recipe_and_run(options)
    from .fit import fit
    fit(recipe, run, progress=not options.quiet)


def _export(options: argparse.Namespace) -> None:
    recipe, run = _recipe_and_run(options)
    from .export.module import export
    folder = export(recipe, run, options.output / recipe.name)
    print(f"module -> {folder}")


if __name__ == "__main__":
    sys.exit(main())
