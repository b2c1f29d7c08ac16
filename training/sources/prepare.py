"""Make the collection of real galaxies, ``real_galaxies.h5``, from a folder of surveys' files.

    python training/sources/prepare.py DATA [--output FILE] [--sheets FOLDER]

README.md beside this file says where the files of DATA are from.  Each file of ``surveys`` reads
one set and says what is left out and why; the files of ``steps`` do what is the same for all sets.
It uses two processes; set OMP_NUM_THREADS=1, so that each of them uses one processor.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from catalogues import catalogues
from steps import sky
from steps.held_out import held_out_groups
from steps.matching import same_galaxies
from steps.prepared import Cleaned, cleaned, prepared
from surveys import acs, ceers, cosmosweb, hst, hudf, nearby, sdss

from galsim_deep.observations.collection import CollectedGalaxy
from galsim_deep_training.data.collection_writer import add_catalogue, write_collection

SETS = (hst, hudf, ceers, sdss, cosmosweb, nearby, acs)
SEED = 20260
"""Seed of the choice of galaxies that are held out.  It is never changed: galaxies that trained
modules have seen must not be held out later."""
SIGNAL_TO_NOISE = 30.0
"""Galaxies with less are left out, except those for validation."""
LOST_LIGHT = 0.1
"""So are galaxies that lose more light to pixels that cannot be used."""


def correlations(galaxies: Sequence[Cleaned]) -> dict[tuple[str, str], np.ndarray]:
    """The correlation of the noise of each survey and band, from the sky of all its galaxies."""
    sums: dict[tuple[str, str], list] = {}
    for galaxy in galaxies:
        if galaxy.sums is not None:
            key = galaxy.observed.survey, galaxy.observed.band
            sums.setdefault(key, []).append(galaxy.sums)
    return {key: sky.correlation_of(*np.sum(parts, 0)) for key, parts in sums.items()}


def _correlation(galaxy: Cleaned, found: dict[tuple[str, str], np.ndarray]) -> np.ndarray | None:
    """The correlation of a galaxy's noise: known, its own, or that of its survey and band."""
    seen = galaxy.observed
    if seen.correlation is not None:
        return seen.correlation
    if seen.own_correlation and galaxy.sums is not None:
        # The sky of one stamp cannot tell more than that of nearest neighbours.
        return sky.correlation_of(*galaxy.sums, reach=1)
    return found.get((seen.survey, seen.band))


def _good(galaxy: CollectedGalaxy) -> bool:
    return galaxy.judge_only or (galaxy.signal_to_noise > SIGNAL_TO_NOISE
                                 and galaxy.lost_light < LOST_LIGHT)


def _measured(task: tuple[Cleaned, np.ndarray | None]) -> CollectedGalaxy:
    return prepared(*task)


def collect(data: Path, processes: int, sets: Sequence = SETS) -> list[CollectedGalaxy]:
    """Prepare the galaxies of all sets, number them, and choose which are held out."""
    with ProcessPoolExecutor(processes) as pool:
        observed = [seen for survey in sets for seen in survey.galaxies(data)]
        clean = list(pool.map(cleaned, observed, chunksize=8))
        found = correlations(clean)
        tasks = [(galaxy, _correlation(galaxy, found)) for galaxy in clean]
        galaxies = list(pool.map(_measured, tasks, chunksize=4))
    left_out = [galaxy.name for galaxy in galaxies if not _good(galaxy)]
    print(f"left out by their measurements: {', '.join(left_out)}")
    galaxies = [galaxy for galaxy in galaxies if _good(galaxy)]
    known = [group for survey in sets if hasattr(survey, "same") for group in survey.same(data)]
    groups = same_galaxies(galaxies, known)
    galaxies = [dataclasses.replace(galaxy, group=group)
                for galaxy, group in zip(galaxies, groups, strict=True)]
    judges = {galaxy.group for galaxy in galaxies if galaxy.judge_only}
    others = [galaxy for galaxy in galaxies if galaxy.group not in judges]
    held_out = judges | held_out_groups(
        [galaxy.survey for galaxy in others], [galaxy.group for galaxy in others],
        [galaxy.magnitude for galaxy in others], SEED)
    return [dataclasses.replace(galaxy, held_out=galaxy.group in held_out) for galaxy in galaxies]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path, help="folder of the surveys' files")
    parser.add_argument("--output", type=Path,
                        default=Path(__file__).with_name("real_galaxies.h5"))
    parser.add_argument("--sheets", type=Path, help="folder for pictures of all galaxies")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    galaxies = collect(arguments.data, arguments.processes)
    surveys = {name: survey for part in SETS for name, survey in part.SURVEYS.items()}
    write_collection(arguments.output, galaxies, surveys,
                     conditions={"acs_f814w": acs.conditions(arguments.data)})
    for name, catalogue in catalogues(arguments.data).items():
        add_catalogue(arguments.output, name, catalogue)
    print(f"{len(galaxies)} galaxies, {arguments.output.stat().st_size / 1e6:.1f} MB")
    if arguments.sheets:
        from steps.sheets import draw_sheets

        draw_sheets(arguments.output, arguments.sheets)


if __name__ == "__main__":
    main()
