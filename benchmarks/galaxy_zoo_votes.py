"""Votes of Galaxy Zoo from few labels, by the equivariant transformer VAE.

    python benchmarks/galaxy_zoo_votes.py FOLDER --run runs/galaxy_zoo_votes [--seeds 3]

FOLDER has the images of Galaxy Zoo 2 (`galaxy_zoo_files`).  The recipe galaxy_zoo_et_vae is fitted
with 100, 300 and 800 labels in four ways: supervised, with alternating steps, in two steps, and on
images alone, with a random forest of the latents in place of the classifier.  The first three use
the same number of steps with votes; the supervised fit and that in two steps, which learn the
labels by heart if they go on for long, are made with fewer steps as well.  The tables have, beside
those of Nishikawa-Toomey et al. (2020), table 1:

* The RMS error of the fractions of votes of the held-out images, for each way, with the error of
  the mean over seeds, and the differences of the ways, which share seeds and labels.  Of the fits
  of several lengths, that with the smallest mean error is taken, which favours these.
* How much latents change if held-out images are turned, and by how much the position angle moves.

``turned.png`` shows held-out images, what the decoder makes of them, and the same at position
angles 0, 30, 60 and 90 degrees.
"""

import argparse
from pathlib import Path

import numpy as np
import yaml
from galaxy_zoo_files import write_images
from scipy import ndimage
from sklearn.ensemble import RandomForestRegressor

from galsim_deep.picture import contact_sheet, write_png
from galsim_deep_training.data.build import build
from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.families.et_vae import ETVAE
from galsim_deep_training.fit import fit
from galsim_deep_training.recipe import Recipe, read_recipe

RECIPE = Path(__file__).resolve().parents[1] / "training" / "recipes" / "galaxy_zoo_et_vae.yaml"
LABELS = (100, 300, 800)
WAYS = ("supervised", "alternating", "two-step", "forest")
SEVERAL_LENGTHS = ("supervised", "two-step")
SHORTER = (1/4, 1/2, 1)
"""Numbers of steps with votes of these, in units of that of the alternating way."""
PAPER = {"supervised": "0.31 to 0.24", "alternating": "0.24, 0.20, 0.21",
         "two-step": "0.28 to 0.25", "forest": ""}
"""Table 1 of the paper, for 100 to 1,200 labels; some of its cells are lost."""
ANGLES = (10.0, 37.0, 71.0, 133.0)
IMAGE_STEPS, VOTE_STEPS = 1200, 1200


def recipe_of(run: Path, way: str, labels: int, seed: int, steps: tuple[int, int]) -> Recipe:
    """The recipe with another way to fit, written to the working folder of a seed.

    ``steps`` are those on images alone of the fit in two steps, and those with votes.
    """
    content = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    votes = content["fit"].pop("votes")
    if way in ("two-step", "forest"):
        shared = ("batch_size", "learning_rate", "clip", "average")
        content["fit"]["autoencoder"] = dict({key: votes[key] for key in shared}, steps=steps[0])
    if way != "forest":
        content["fit"]["votes"] = dict(
            votes, steps=steps[1], labels=labels, alternate=way == "alternating")
    content.update(seed=seed)
    content["data"].update(file_name=str((run.parent / "images.npz").resolve()))
    path = run / f"{way}_{labels}_{steps[1]}.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return read_recipe(path)


def latents(family: ETVAE, images: np.ndarray) -> np.ndarray:
    """The latents of images [N, S, S, B], [N, K]."""
    return np.concatenate([family.latents(images[first:first + 100])[0]
                           for first in range(0, len(images), 100)])


def fractions_of(family: ETVAE, examples: dict[str, np.ndarray]) -> np.ndarray:
    """The fractions of votes of examples, [N, answers]."""
    votes = np.stack([examples[answer] for answer in family.settings.answers], axis=-1)
    return votes / votes.sum(axis=1, keepdims=True)


def predictions(family: ETVAE, images: np.ndarray, known: dict[str, np.ndarray] | None
                ) -> np.ndarray:
    """The predicted fractions of votes, [N, answers]: by the family's classifier, or by a random
    forest if there are examples with votes, ``known``, for it."""
    if known is None:
        return np.exp(family.log_fractions(latents(family, images)))
    forest = RandomForestRegressor(400, min_samples_leaf=3, random_state=1)
    forest.fit(latents(family, known["stamp"]), fractions_of(family, known))
    return forest.predict(latents(family, images))


def turned(images: np.ndarray, angle: float) -> np.ndarray:
    """Images [N, S, S, B] turned from x towards y by an angle [deg], interpolated by splines."""
    middle = 0.5 * (images.shape[1] - 1)
    y, x = np.indices(images.shape[1:3]) - middle
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    places = [-s * x + c * y + middle, c * x + s * y + middle]
    return np.stack([
        np.stack([ndimage.map_coordinates(band, places, order=3, mode="nearest")
                  for band in np.moveaxis(image, -1, 0)], axis=-1)
        for image in images]).astype(np.float32)


def print_turns(family: ETVAE, images: np.ndarray) -> None:
    """Print what turning does to latents and position angles."""
    mean, _, angle = (np.asarray(part) for part in family.latents(images))
    spread = np.sqrt(np.mean(np.var(mean, axis=0)))
    print("\n## Turned images\n\n| turned by | change of the latents / their spread | "
          "error of the change of the position angle: median, 95 % |\n|---|---|---|")
    for by in ANGLES:
        other, _, moved = (np.asarray(part) for part in family.latents(turned(images, by)))
        error = np.abs((moved - angle - by + 90) % 180 - 90)
        change = np.sqrt(np.mean((other - mean)**2)) / spread
        print(f"| {by:g} deg | {change:.4f} | {np.median(error):.2f} deg, "
              f"{np.percentile(error, 95):.2f} deg |")


def draw(family: ETVAE, images: np.ndarray, path: Path) -> None:
    """Images, reconstructions, and these at given position angles."""
    mean, _, angle = family.latents(images)
    rows = [images, family.decode(mean, angle)]
    rows += [family.decode(mean, np.full(len(images), by, np.float32)) for by in (0, 30, 60, 90)]
    write_png(path, contact_sheet(
        [np.round(255 * np.asarray(image)).astype(np.uint8) for row in rows for image in row],
        len(images)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--labels", type=int, nargs="+", default=LABELS)
    parser.add_argument("--steps", type=int, nargs=2, default=(IMAGE_STEPS, VOTE_STEPS),
                        help="steps on images alone of the two-step way, and steps with votes")
    options = parser.parse_args()
    write_images(options.folder, options.run / "images.npz")
    fits = [(way if way == "forest" else f"{way}, {part} steps", way, (options.steps[0], part))
            for way in WAYS
            for part in [round(options.steps[1] * share) for share in SHORTER]
            if way in SEVERAL_LENGTHS or part == options.steps[1]]
    rms: dict[tuple[str, int], list[float]] = {}
    for seed in range(1, options.seeds + 1):
        run = options.run / f"seed_{seed}"
        run.mkdir(exist_ok=True)
        if not (run / "data.h5").exists():
            build(recipe_of(run, WAYS[0], options.labels[0], seed, options.steps), run / "data.h5",
                  2, progress=False)
        dataset = Dataset(run / "data.h5")
        test = dataset.read(dataset.test_indices)
        for labels in options.labels:
            for name, way, steps in fits:
                family = fit(recipe_of(run, way, labels, seed, steps), run, progress=False)
                if way != "forest":  # which has the same labels as the ways before it
                    known = dataset.read(family.phases[-1].labelled(dataset))
                fractions = fractions_of(family, test)
                predicted = predictions(family, test["stamp"], known if way == "forest" else None)
                error = predicted - fractions
                rms.setdefault((name, labels), []).append(float(np.sqrt(np.mean(error**2))))
                print(f"seed {seed}, {labels} labels, {name}: {rms[name, labels][-1]:.4f}",
                      flush=True)
                if way == "alternating":
                    shown = family
    constant = np.sqrt(np.mean((fractions - fractions.mean(axis=0))**2))

    def cell(values: np.ndarray) -> str:
        error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        return f"{np.mean(values):.4f} ± {error:.4f}"

    print(f"\n## RMS error of the fractions of votes of {len(fractions)} held-out images\n\n"
          f"The same fractions for all images: {constant:.3f}.\n")
    print("| fit |" + "".join(f" {labels} labels |" for labels in options.labels)
          + " paper |\n|---|" + "---|" * (len(options.labels) + 1))
    for name, way, _ in fits:
        print(f"| {name} | " + " | ".join(cell(np.array(rms[name, labels]))
                                          for labels in options.labels) + f" | {PAPER[way]} |")
    best = {(way, labels): np.array(min((rms[name, labels] for name, other, _ in fits
                                         if other == way), key=np.mean))
            for way in WAYS for labels in options.labels}
    for way in WAYS[1:]:
        print(f"| supervised, best - {way}, best | " + " | ".join(
            cell(best[WAYS[0], labels] - best[way, labels]) for labels in options.labels)
            + " | |")
    print_turns(shown, test["stamp"])
    draw(shown, test["stamp"][:12], options.run / "turned.png")
    print(f"\nPicture: {options.run / 'turned.png'}")


if __name__ == "__main__":
    main()
