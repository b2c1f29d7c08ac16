"""The command ``galsim-deep``: look at modules, sample from them, see a first scene."""

__all__ = ["main"]

import argparse
import os
import sys
from pathlib import Path

import numpy as np
from galsim import GalSimError
from galsim.errors import galsim_warn

from . import handles
from ._version import __version__
from .card import CARD_PATH, read_card, rewrite


def main(arguments=None):
    """Entry point; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.action(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (GalSimError, OSError) as err:
        print(f"galsim-deep: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="galsim-deep", description="Deep generative galaxies for GalSim.")
    parser.add_argument("--version", action="version", version=f"galsim-deep {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, action, text):
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(action=action)
        return made

    command("list", _list, "list the modules that hub:NAME can reach")

    info = command("info", _info, "show the card of a module")
    info.add_argument("module", help="a name, or any handle")
    info.add_argument("--json", action="store_true", help="the card as it is, in JSON")

    sample = command("sample", _sample, "sample a galaxy for each row of a catalogue")
    sample.add_argument("module", help="a name, or any handle")
    sample.add_argument("--catalog", required=True, type=Path,
                        help="a table astropy can read: FITS, ECSV, CSV, ...")
    sample.add_argument("--format", help="format of the catalogue, by astropy's name for it, "
                                         "where it does not tell from the file")
    sample.add_argument("--output", required=True, type=Path,
                        help="FITS file: the stamps as a cube, and the catalogue as a table")
    sample.add_argument("--seed", type=_seed, default=1, help="random seed [default: 1]")
    sample.add_argument("--id", metavar="COLUMN",
                        help="integer column that decides each galaxy, instead of the seed")
    sample.add_argument("--cluster", metavar="CLASS",
                        help="class of all galaxies, by id or name, of a module with classes; a "
                             "column 'cluster' is not read then [default: by that column, if "
                             "there is one]")
    sample.add_argument("--strict", action="store_true",
                        help="refuse values outside of the valid ranges")
    sample.add_argument("--overwrite", action="store_true", help="replace the output file")

    validate = command("validate", _validate, "compare generated galaxies with real ones")
    validate.add_argument("module", help="a name, or any handle")
    validate.add_argument("--real", required=True, type=Path,
                          help="real galaxies: a folder that galsim.RealGalaxyCatalog reads, or an "
                               "HDF5 file of 'galsim-deep-train data'")
    validate.add_argument("--output", required=True, type=Path,
                          help="folder for report.html, report.json and the figures")
    validate.add_argument("--count", type=_positive,
                          help="take at most so many galaxies, at random")
    validate.add_argument("--seed", type=_seed, default=1, help="random seed [default: 1]")
    validate.add_argument("--processes", type=_positive,
                          help="worker processes [default: one a core]")
    validate.add_argument("--column", action="append", default=[], metavar="COLUMN=NAME",
                          help="where a column of the module is found in the catalogue, if it has "
                               "another name there; may be given several times")
    validate.add_argument("--zero-point", type=_finite,
                          help="AB magnitude of unit flux of the stamps [default: the module's]")
    validate.add_argument("--split", choices=("test", "train"), default="test",
                          help="which part of an HDF5 file [default: test]")
    validate.add_argument("--training", type=Path,
                          help="the HDF5 file the module was trained on, to see whether it repeats "
                               "what it has seen [default: the file of --real]")
    validate.add_argument("--cache", type=Path,
                          help="folder that keeps what was measured on the real galaxies, for the "
                               "next module that is compared with them [default: none]")
    validate.add_argument("--write-card", action="store_true",
                          help="write the chief numbers into the module's card and README.md")
    validate.add_argument("--quiet", action="store_true", help="no progress bar")

    demo = command("demo", _demo, "draw a small scene of generated galaxies")
    demo.add_argument("--output", type=Path, default=Path(), help="folder [default: this one]")
    demo.add_argument("--module", default="hub:acs_flow_vae", help="a name, or any handle")
    demo.add_argument("--seed", type=_seed, default=7, help="another seed, another scene")
    demo.add_argument("--cluster", metavar="CLASS",
                      help="galaxies of one class alone, by id or name [default: all]")
    return parser


def _seed(text):
    seed = int(text)
    if not 0 < seed < 2**31:  # GalSim takes no more, and 0 to mean "from the system"
        raise argparse.ArgumentTypeError("a seed is from 1 to 2147483647")
    return seed


def _positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 up")
    return number


def _finite(text):
    number = float(text)
    if not np.isfinite(number):
        raise argparse.ArgumentTypeError("a finite number")
    return number


def _handle(text):
    """A plain name on the command line means ``hub:NAME``, unless it is a module here."""
    path = Path(text)
    plain = len(path.parts) == 1 and ":" not in text and not text.endswith((".tar.gz", ".tgz"))
    return f"hub:{text}" if plain and not (path / CARD_PATH).is_file() else text


def _list(options):
    for name, folder in handles.available().items():
        try:
            text = read_card(folder).summary if folder else "(in an index; not on this machine yet)"
        except GalSimError as err:
            text = f"(cannot be used: {err})"
        print(f"hub:{name:24s} {text}")


def _info(options):
    folder = handles.resolve(_handle(options.module))
    card = read_card(folder)
    if options.json:
        print(card.model_dump_json(indent=2))
        return
    print(f"{card.name} {card.version} ({card.family})\n{card.summary}\n")
    print(f"folder      {folder}")
    print(f"stamps      {card.stamp_size} x {card.stamp_size} pixels of {card.pixel_scale}\", "
          f"bands {', '.join(card.bands)}")
    print(f"flux        AB zero point {card.flux.zero_point} for {card.flux.exposure_time:g} s")
    print(f"latent      {card.latent.size} standard normal numbers")
    print(f"signatures  {', '.join(card.signatures)}")
    print(f"trained on  {card.training_data.description}")
    print(f"            {card.trained_through}")
    print(f"cite        {card.training_data.citation}\n\ncolumns")
    for column in card.columns:
        low, high = column.valid_range
        print(f"  {column.name} [{column.unit or '1'}], {low:g} to {high:g}"
              f"{', may be missing' if column.optional else ''}: {column.meaning}")
    if card.clusters:
        print("\nclasses")
    for number, cluster in enumerate(card.clusters):
        print(f"  {number} {cluster.name}, {100 * cluster.share:.1f} %: {cluster.description}")
    for galaxies, found in card.quality.items():
        print(f"\nvalidated on {galaxies}")
        for name, value in found.items():
            print(f"  {name:44s} {value:g}")


def _sample(options):
    from astropy.io import fits

    from .model import GenerativeGalaxyModel

    # What can go wrong with the files is found before the galaxies are made.
    output = options.output
    if output.is_dir():
        raise GalSimError(f"{output} is a folder. Give the name of a FITS file.")
    if output.exists() and (not options.overwrite or output.samefile(options.catalog)):
        raise GalSimError(f"{output} exists. Give another name, or --overwrite (not for the "
                          "catalogue itself).")
    output.parent.mkdir(parents=True, exist_ok=True)
    model = GenerativeGalaxyModel(_handle(options.module))
    table = _read_table(options.catalog, options.format)
    if options.id is None:
        random = dict(rng=options.seed)
    elif options.id in table.colnames:
        random = dict(seeds=table[options.id])
    else:
        raise GalSimError(f"{options.catalog} has no column '{options.id}'; it has: "
                          f"{', '.join(table.colnames)}.")
    random.update(cluster=options.cluster, strict=options.strict)
    images = model.images(table, **random)
    if model.clusters:
        # Which they are, whether asked for or drawn: the output is a truth catalogue.
        drawn = model.draw_clusters(table, **random)
        table["cluster"] = np.array(model.clusters)[drawn]
    rows = _table_hdu(table, options.catalog)
    cube = fits.PrimaryHDU(np.asarray(images))
    cube.header["MODULE"] = (model.card.name, "galsim-deep module")
    cube.header["MODVERS"] = (model.card.version, "version of the module")
    cube.header["PIXSCALE"] = (model.pixel_scale, "arcsec per pixel")
    cube.header["ZEROPNT"] = (model.card.flux.zero_point, "AB magnitude of unit flux")
    fits.HDUList([cube, rows]).writeto(output, overwrite=True)
    print(f"{len(images)} stamps -> {output}")


def _read_table(path, kind):
    from astropy.table import Table

    if not path.is_file():
        raise GalSimError(f"There is no catalogue {path}.")
    try:
        return Table.read(path, format=kind)
    except Exception as err:  # astropy's readers raise whatever their format does
        reason = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
        raise GalSimError(f"Cannot read the catalogue {path}: {reason} If astropy reads it with a "
                          "format named, give that as --format.") from err


def _table_hdu(table, path):
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


def _validate(options):
    columns = dict(pair.split("=", 1) for pair in options.column if "=" in pair)
    if len(columns) < len(options.column):
        raise GalSimError("--column takes COLUMN=NAME, such as mag_auto=MAG_BEST.")
    # What cannot be written is found before an hour of measuring.
    options.output.mkdir(parents=True, exist_ok=True)
    folder = handles.resolve(_handle(options.module))
    for place in [options.output, *([folder, folder / CARD_PATH] if options.write_card else [])]:
        if not os.access(place, os.W_OK):
            raise GalSimError(f"{place} cannot be written to.")
    try:
        from .validation import chief_figures, validate, write_report
    except ImportError as err:
        raise GalSimError(f"The command validate needs the package {err.name}: pip install "
                          "'galsim-deep[validate]'.") from err
    validation = validate(
        _handle(options.module), options.real, count=options.count, seed=options.seed,
        processes=options.processes, columns=columns, split=options.split,
        training=options.training, zero_point=options.zero_point, progress=not options.quiet,
        cache=options.cache)
    print(write_report(validation, options.output).resolve())
    found = validation.results.get("classes", {}).get("frequencies", {})
    if found.get("p") is not None and np.isfinite(found["p"]):
        print(f"classes of {found['draws']} draws: chi-square {found['chi_square']:.4g} with "
              f"{found['degrees']} degrees of freedom, p = {found['p']:.3g}")
    if options.write_card:
        figures = {validation.survey.name: chief_figures(validation.results)}
        rewrite(folder, quality=validation.card.quality | figures)
        print(f"card and README.md of {folder} written")


def _demo(options):
    from .demo import run

    for path in run(options.output, _handle(options.module), options.seed, options.cluster):
        print(path.resolve())


if __name__ == "__main__":
    sys.exit(main())
