"""The command ``galsim-deep``: look at modules, sample from them, see a first scene."""

__all__ = ["main"]

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from galsim import GalSimError
from galsim.errors import galsim_warn

from ._version import __version__
from .embeddings.commands import add_commands
from .modules.card import CARD_PATH, read_card
from .modules.resolve import available, command_line_handle, resolve
from .modules.rewrite import rewrite_card
from .runtime.atomic_files import replace_file

if TYPE_CHECKING:
    from astropy.io.fits import BinTableHDU
    from astropy.table import Table

    from .modules.card import Column

MAX_SEED = 2**31 - 1
"""GalSim's largest seed; 0 would mean a seed from the system."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters:
        arguments:  The words after ``galsim-deep``.  [default: those of the command line]

    Returns:
        the exit status: 0, or 1 after an error, which was printed.

    >>> main(["list"])  # doctest: +ELLIPSIS
    hub:acs_flow_vae ...
    0
    """
    options = _parser().parse_args(arguments)
    try:
        options.action(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (GalSimError, OSError) as err:
        print(f"galsim-deep: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="galsim-deep", description="Deep generative galaxies for GalSim.")
    parser.add_argument("--version", action="version", version=f"galsim-deep {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, action: Callable[[Any], None], text: str) -> argparse.ArgumentParser:
        subparser = commands.add_parser(name, help=text, description=text)
        subparser.set_defaults(action=action)
        return subparser

    command("list", _list, "list the modules that can be opened as hub:NAME")

    info = command("info", _info, "show the card of a module")
    info.add_argument("module", help="a name, or any handle")
    info.add_argument("--json", action="store_true",
                      help="print the card as JSON, with default values filled in")

    sample = command("sample", _sample, "sample a galaxy for each row of a catalogue")
    sample.add_argument("module", help="a name, or any handle")
    sample.add_argument("--catalog", required=True, type=Path,
                        help="a table that astropy can read: FITS, ECSV, CSV, ...")
    sample.add_argument("--format", help="astropy's name for the format of the catalogue, if "
                                         "astropy cannot tell it from the file")
    sample.add_argument("--output", required=True, type=Path,
                        help="FITS file: the stamps as a cube, and the catalogue as a table")
    sample.add_argument("--seed", type=_seed, default=1, help="random seed [default: 1]")
    sample.add_argument("--id", metavar="COLUMN",
                        help="integer column whose values are the seeds of the galaxies, instead "
                             "of one seed for all")
    sample.add_argument("--galaxy-class", metavar="CLASS",
                        help="class of all galaxies, by number or name, for a module with classes; "
                             "takes the place of a column 'galaxy_class' [default: that column, if "
                             "there is one; otherwise classes are drawn]")
    sample.add_argument("--strict", action="store_true",
                        help="refuse values outside of the valid ranges")
    sample.add_argument("--overwrite", action="store_true", help="replace the output file")

    validate = command("validate", _validate, "compare generated galaxies with real ones")
    validate.add_argument("module", help="a name, or any handle")
    validate.add_argument("--real", required=True, type=Path,
                          help="real galaxies: the collection (training/sources/real_galaxies.h5 "
                               "of the repository), a folder that galsim.RealGalaxyCatalog reads, "
                               "or an HDF5 file of 'galsim-deep-train data'")
    validate.add_argument("--part", action="append", choices=("held-out", "judges", "seen"),
                          help="part of the collection: galaxies that no module may be trained on, "
                               "COSMOS stamps for validation alone, or galaxies to train on; may "
                               "be given several times [default: held-out and judges]")
    validate.add_argument("--output", required=True, type=Path,
                          help="folder for report.html, report.json, galaxies.fits and the figures")
    validate.add_argument("--count", type=_positive,
                          help="largest number of galaxies to use; they are chosen at random")
    validate.add_argument("--seed", type=_seed, default=1, help="random seed [default: 1]")
    validate.add_argument("--processes", type=_positive,
                          help="worker processes [default: one per core]")
    validate.add_argument("--column", action="append", default=[], metavar="COLUMN=NAME",
                          help="name in the catalogue of a column of the module, if it differs; "
                               "may be given several times")
    validate.add_argument("--zero-point", type=_finite,
                          help="AB magnitude of unit flux of the stamps [default: the module's]")
    validate.add_argument("--split", choices=("test", "train"), default="test",
                          help="which part of an HDF5 file [default: test]")
    validate.add_argument("--training", type=Path,
                          help="the HDF5 file that the module was trained on, to test whether "
                               "generated galaxies are copies of training galaxies [default: the "
                               "file of --real, if that is an HDF5 file]")
    validate.add_argument("--cache", type=Path,
                          help="folder that keeps the measurements of the real galaxies, for the "
                               "next module that is compared with them [default: none]")
    validate.add_argument("--encoder",
                          help="a name, or any handle, of a module that encodes, in whose "
                               "embeddings real and generated galaxies are compared too")
    validate.add_argument("--write-card", action="store_true",
                          help="write the main results to the card and README.md of the module")
    validate.add_argument("--quiet", action="store_true", help="no progress bar")

    add_commands(command)

    demo = command("demo", _demo, "draw a small scene of generated galaxies")
    demo.add_argument("--output", type=Path, default=Path(), help="folder [default: this one]")
    demo.add_argument("--module", default="hub:acs_flow_vae", help="a name, or any handle")
    demo.add_argument("--seed", type=_seed, default=7, help="random seed of the scene [default: 7]")
    demo.add_argument("--galaxy-class", metavar="CLASS",
                      help="draw only galaxies of this class, by number or name [default: all]")
    return parser


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 < seed <= MAX_SEED:
        raise argparse.ArgumentTypeError(f"a seed must be an integer from 1 to {MAX_SEED}")
    return seed


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be an integer of at least 1")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if not np.isfinite(number):
        raise argparse.ArgumentTypeError("must be a finite number")
    return number


def _list(options: argparse.Namespace) -> None:
    for name, folder in available().items():
        try:
            text = read_card(folder).summary if folder else "(in an index; not on this machine yet)"
        except GalSimError as err:
            text = f"(cannot be used: {err})"
        print(f"hub:{_printable(name):24s} {text}")


def _printable(name: str) -> str:
    """A name from an index with control characters escaped, so that printing it is safe."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _omission(column: "Column") -> str:
    """What a table may omit of a column, as text."""
    if column.may_be_absent:
        return ", may be absent"
    return ", may be missing" if column.optional else ""


def _info(options: argparse.Namespace) -> None:
    folder = resolve(command_line_handle(options.module))
    card = read_card(folder)
    if options.json:
        print(card.model_dump_json(indent=2))
        return
    print(f"{card.name} {card.version} ({card.family})\n{card.summary}\n")
    print(f"folder      {folder}")
    print(f"kind        {card.kind}")
    print(f"stamps      {', '.join(f'{size} x {size}' for size in card.stamp.sizes)} pixels of "
          f"{card.pixel_scale}\"")
    for band in card.bands:
        print(f"band        {band.name}, AB zero point {band.zero_point} for "
              f"{band.exposure_time:g} s")
        if band.psf or band.noise:
            print(f"            trained through {band.psf}; {band.noise}")
    if card.latent is not None:
        print(f"latent      {card.latent.size} standard normal numbers")
    print(f"signatures  {', '.join(card.signatures)}")
    print(f"trained on  {card.training_data.description}")
    print(f"cite        {card.training_data.citation}\n\ncolumns")
    for column in card.columns:
        low, high = column.usable_range
        print(f"  {column.name} [{column.unit or '1'}], {low:g} to {high:g}"
              f"{_omission(column)}: {column.meaning}")
    if card.classes:
        print("\nclasses")
    for number, galaxy_class in enumerate(card.classes):
        print(f"  {number} {galaxy_class.name}, {100 * galaxy_class.share:.1f} %: "
              f"{galaxy_class.description}")
    for galaxies, figures in card.validation.items():
        print(f"\nvalidated on {galaxies}")
        for name, value in figures.items():
            print(f"  {name:44s} {value:g}")


def _sample(options: argparse.Namespace) -> None:
    from astropy.io import fits

    from .model import GenerativeGalaxyModel

    # The names of files are checked before the galaxies are made.
    output = options.output
    if output.is_dir():
        raise GalSimError(f"{output} is a folder. Give the name of a FITS file.")
    if output.exists() and not output.is_file():  # such as /dev/null, which must not be replaced
        raise GalSimError(f"{output} is not a file. Give the name of a FITS file.")
    if output.exists() and (not options.overwrite or output.samefile(options.catalog)):
        raise GalSimError(f"{output} exists. Give another name, or --overwrite (not for the "
                          "catalogue itself).")
    output.parent.mkdir(parents=True, exist_ok=True)
    model = GenerativeGalaxyModel(command_line_handle(options.module))
    table = _read_table(options.catalog, options.format)
    arguments: dict[str, Any] = dict(galaxy_class=options.galaxy_class, strict=options.strict)
    if options.id is None:
        arguments["rng"] = options.seed
    elif options.id in table.colnames:
        arguments["seeds"] = table[options.id]
    else:
        raise GalSimError(f"{options.catalog} has no column '{options.id}'; it has: "
                          f"{', '.join(table.colnames)}.")
    outputs = model.outputs(table, **arguments)
    if model.classes:
        # The class of each galaxy, chosen or drawn: the output is a truth catalogue.
        table["galaxy_class"] = np.array(model.classes)[outputs["galaxy_class"]]
    if "pixel_scale" in outputs:
        table["pixel_scale"] = outputs["pixel_scale"].astype(float)
        table["pixel_scale"].unit = "arcsec"
    rows = _table_hdu(table, options.catalog)
    cube = fits.PrimaryHDU(outputs["image"][..., 0])
    cube.header["MODULE"] = (model.card.name, "galsim-deep module")
    cube.header["MODVERS"] = (model.card.version, "version of the module")
    if "pixel_scale" not in outputs:
        cube.header["PIXSCALE"] = (model.pixel_scale, "arcsec per pixel")
    cube.header["ZEROPNT"] = (model.card.zero_point, "AB magnitude of unit flux")
    with replace_file(output) as fresh:
        fits.HDUList([cube, rows]).writeto(fresh)
    print(f"{len(table)} stamps -> {output}")


def _read_table(path: Path, file_format: str | None) -> "Table":
    from astropy.table import Table

    if not path.is_file():
        raise GalSimError(f"There is no catalogue {path}.")
    try:
        return Table.read(path, format=file_format)
    except Exception as err:  # astropy's readers raise errors of many types
        reason = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
        raise GalSimError(f"Cannot read the catalogue {path}: {reason} If astropy needs "
                          "the name of the format, give it with --format.") from err


def _table_hdu(table: "Table", path: Path) -> "BinTableHDU":
    """The catalogue as a FITS table, without the columns that FITS cannot hold."""
    from astropy.io import fits

    kept = table.copy()
    for name in table.colnames:
        try:
            fits.table_to_hdu(table[[name]])
        except Exception as err:  # text that is not ASCII, objects, ...
            galsim_warn(f"The column '{name}' of {path} cannot be written to FITS and is left out "
                        f"of the output: {err}")
            kept.remove_column(name)
    return fits.table_to_hdu(kept)


def _validate(options: argparse.Namespace) -> None:
    columns = dict(pair.split("=", 1) for pair in options.column if "=" in pair)
    if len(columns) < len(options.column):
        raise GalSimError("--column takes COLUMN=NAME: a column of the module, and its name in the "
                          "catalogue.")
    # Check write permission before the measurements, which take up to an hour.
    options.output.mkdir(parents=True, exist_ok=True)
    folder = resolve(command_line_handle(options.module))
    # The card and the README.md of the module are replaced by new files in their folders.
    folders = [folder, (folder / CARD_PATH).parent] if options.write_card else []
    for path in [options.output, *folders]:
        if not os.access(path, os.W_OK):
            raise GalSimError(f"{path} cannot be written to.")
    try:
        from .validation import RealSample, Settings, card_figures, validate, write_report
    except ImportError as err:
        raise GalSimError(f"The command validate needs the package {err.name}. Install the extra "
                          "'validate' of galsim-deep (see README.md).") from err
    real = RealSample(options.real, count=options.count, columns=columns, split=options.split,
                      zero_point=options.zero_point,
                      **(dict(parts=tuple(options.part)) if options.part else {}))
    validation = validate(
        command_line_handle(options.module), real, training=options.training,
        settings=Settings(seed=options.seed, encoder=options.encoder
                          and command_line_handle(options.encoder)), processes=options.processes,
        progress=not options.quiet, cache=options.cache)
    print(write_report(validation, options.output).resolve())
    for row in validation.results.get("requirements", []):
        print(f"{row['verdict']:14s} {row['quantity']}: {row['required']}")
    test = validation.results.get("classes", {}).get("frequencies", {})
    if test.get("p") is not None and np.isfinite(test["p"]):
        print(f"classes of {test['draws']} draws: chi-square {test['chi_square']:.4g} with "
              f"{test['degrees']} degrees of freedom, p = {test['p']:.3g}")
    if options.write_card:
        figures = {validation.galaxies.name: card_figures(validation.results)}
        rewrite_card(folder, validation=validation.card.validation | figures)
        print(f"card and README.md of {folder} written")


def _demo(options: argparse.Namespace) -> None:
    from .demo import run

    for path in run(options.output, command_line_handle(options.module), options.seed,
                    options.galaxy_class):
        print(path.resolve())


if __name__ == "__main__":
    sys.exit(main())
