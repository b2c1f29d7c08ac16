"""A flow and an autoencoder of images of galaxies in three colours.

    python benchmarks/galaxy_zoo_images.py FOLDER --run runs/galaxy_zoo_images [--radio RADIO.npz]

FOLDER has the images of Galaxy Zoo 2 (`galaxy_zoo_files`).  The recipes galaxy_zoo_flow and
galaxy_zoo_autoencoder are fitted in the working folder, or continued, and then evaluated on images
that are held out:

* Bits per dimension of the flow, beside those of a Gaussian with the covariance of all pixels,
  shrunk towards its diagonal, and of one for each pixel.  The covariance is that of all training
  images in all eight orientations, of the values themselves or of their logits; how much it is
  shrunk is chosen by images that are left out for it.
* Which images a likelihood of pixels prefers: the ROC-AUC of held-out galaxies against smooth
  images and radio sources.  Below one half, those are more likely than galaxies.
* ``samples.png``: real images above images that the flow draws.  ``closest.png``: target images,
  and the training images closest to each in likelihood and in the vector of the autoencoder.
"""

import argparse
from pathlib import Path

import numpy as np
from galaxy_zoo_files import write_images
from scipy import linalg, ndimage
from sklearn.metrics import roc_auc_score

from galsim_deep.picture import contact_sheet, write_png
from galsim_deep_training.data.build import build
from galsim_deep_training.data.dataset import Dataset, with_symmetry
from galsim_deep_training.families.affine_flow.family import MARGIN
from galsim_deep_training.fit import fit
from galsim_deep_training.recipe import Recipe, read_recipe

RECIPES = Path(__file__).resolve().parents[1] / "training" / "recipes"
VALIDATION = 300
"""Training images by which the shrinkage is chosen."""
SHRINKAGES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


def logits(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logits of values [N, D] between 0 and 1, as the flow takes them, and ln|det|, [N]."""
    y = MARGIN + (1 - 2 * MARGIN) * values
    return (np.log(y) - np.log1p(-y),
            np.sum(np.log(1 - 2 * MARGIN) - np.log(y) - np.log1p(-y), axis=1))


class Gaussian:
    """A Gaussian of images in all eight orientations.

    Its covariance is shrunk towards the diagonal: in units of the standard deviation of each pixel
    it is ``(1 - s) C + s``, where C are the correlations.

    Parameters:
        values:     Values of images, [N, S * S * B].
        shape:      S, S and B.
    """

    def __init__(self, values: np.ndarray, shape: tuple[int, int, int]) -> None:
        mean = np.mean([with_symmetry(values.mean(axis=0).reshape(shape), symmetry)
                        for symmetry in range(8)], axis=0).ravel()
        centred = (values - mean).astype(np.float32)
        # The covariance of the images in all orientations is the mean of its own images under the
        # symmetries of the square, which three exchanges of axes generate.
        covariance = (centred.T @ centred / np.float32(len(centred))).reshape(*shape, *shape)
        for exchanged in (np.s_[::-1, :, :, ::-1], np.s_[:, ::-1, :, :, ::-1]):
            covariance = 0.5 * (covariance + covariance[exchanged])
        covariance = 0.5 * (covariance + covariance.transpose(1, 0, 2, 4, 3, 5))
        covariance = covariance.reshape(len(mean), len(mean))
        self.mean, self.deviation = mean, np.sqrt(np.diag(covariance)) + 1e-4
        self.correlation = covariance / np.outer(self.deviation, self.deviation)

    def log_prob(self, values: np.ndarray, shrinkage: float) -> np.ndarray:
        """The log-density of values [N, D], [N]."""
        scaled = (values - self.mean) / self.deviation
        size = values.shape[1]
        if shrinkage == 1:
            whitened, log_det = scaled.T, 0.0
        else:
            matrix = (1 - shrinkage) * self.correlation.astype(float)
            matrix[np.diag_indices(size)] += shrinkage
            root = linalg.cholesky(matrix, lower=True, overwrite_a=True)
            whitened = linalg.solve_triangular(root, scaled.T, lower=True)
            log_det = np.sum(np.log(np.diag(root)))
        return (-0.5 * np.sum(whitened**2, axis=0) - log_det - np.sum(np.log(self.deviation))
                - 0.5 * size * np.log(2 * np.pi))


def best_shrinkage(values: np.ndarray, shape: tuple[int, int, int]) -> float:
    """The shrinkage with which the Gaussian of all but the first values describes these best."""
    gaussian = Gaussian(values[VALIDATION:], shape)
    return max(SHRINKAGES, key=lambda s: np.mean(gaussian.log_prob(values[:VALIDATION], s)))


def bits(log_prob: np.ndarray, size: int) -> tuple[float, float]:
    """Bits per dimension and their error, of log-densities of values of 256 steps."""
    values = 8 - log_prob / (size * np.log(2))
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))


def gaussian_bits(train: np.ndarray, test: np.ndarray, seed: int = 1) -> dict[str, tuple]:
    """Bits per dimension of Gaussians, by name; images uint8 [N, S, S, 3]."""
    rng = np.random.default_rng(seed)

    def continuous(images: np.ndarray) -> np.ndarray:
        values = images.reshape(len(images), -1)
        return (values + rng.random(values.shape)) / 256

    order = rng.permutation(len(train))
    known, unseen, shape = continuous(train[order]), continuous(test), train.shape[1:]
    found = {}
    for space in ("values", "logits"):
        (values, _), (others, log_det) = (
            (part, np.zeros(len(part))) if space == "values" else logits(part)
            for part in (known, unseen))
        best = best_shrinkage(values, shape)
        gaussian, size = Gaussian(values, shape), values.shape[1]
        found[f"Gaussian for each pixel, of the {space}"] = bits(
            gaussian.log_prob(others, 1.0) + log_det, size)
        found[f"Gaussian of all pixels, of the {space}, shrinkage {best:g}"] = bits(
            gaussian.log_prob(others, best) + log_det, size)
    return found


def in_batches(function, images: np.ndarray) -> np.ndarray:
    return np.concatenate([np.asarray(function(images[first:first + 64]))
                           for first in range(0, len(images), 64)])


def with_steps(recipe: Recipe, steps: int | None) -> Recipe:
    """The recipe with another number of steps."""
    if steps is None:
        return recipe
    fits = {name: entry.model_copy(update=dict(steps=steps)) for name, entry in recipe.fit.items()}
    changed = recipe.model_copy(update=dict(fit=fits))
    changed._path, changed._sha256 = recipe.path, recipe.sha256
    return changed


def smooth_images(images: np.ndarray) -> dict[str, np.ndarray]:
    """Images without structure, by name."""
    means = images.mean(axis=(1, 2), keepdims=True)
    return {"blurred galaxies": ndimage.gaussian_filter(images, (0, 6, 6, 0)),
            "images of one colour": np.broadcast_to(means, images.shape).astype(np.float32),
            "black images": np.zeros_like(images)}


def radio_images(path: Path, count: int) -> np.ndarray:
    """Radio sources as grey images, [N, 64, 64, 3]."""
    with np.load(path) as content:
        images = content["images"][:count]
    cut = (images.shape[1] - 64) // 2
    middle = images[:, cut:cut + 64, cut:cut + 64] / np.float32(255)
    return np.repeat(middle[..., None], 3, axis=-1)


def closest(target: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """The rows whose vectors are closest to that of a target."""
    return np.argsort(np.linalg.norm(values - target, axis=1), kind="stable")[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--radio", type=Path, help="an .npz file with images of radio sources")
    parser.add_argument("--steps", type=int, help="steps of both fits [default: of the recipes]")
    options = parser.parse_args()
    images_path = write_images(options.folder, options.run / "images.npz")
    families = {}
    for name in ("galaxy_zoo_flow", "galaxy_zoo_autoencoder"):
        recipe = with_steps(read_recipe(RECIPES / f"{name}.yaml"), options.steps)
        data = recipe.data.model_copy(update=dict(file_name=str(images_path.resolve())))
        path, sha = recipe.path, recipe.sha256
        recipe = recipe.model_copy(update=dict(data=data))
        recipe._path, recipe._sha256 = path, sha
        if not (options.run / "data.h5").exists():
            build(recipe, options.run / "data.h5", 2, progress=False)
        families[name] = fit(recipe, options.run, progress=False)
    flow, autoencoder = families.values()
    dataset = Dataset(options.run / "data.h5")
    test = dataset.read(dataset.test_indices)["stamp"]
    train = dataset.read(dataset.train_indices)["stamp"]
    size = flow.latent_size
    rng = np.random.default_rng(1)
    uniform = rng.random((len(test), size)).astype(np.float32)
    own = np.concatenate([flow.bits(test[first:first + 64], uniform[first:first + 64]).numpy()
                          for first in range(0, len(test), 64)])
    print(f"## Bits per dimension of {len(test)} held-out images\n\n| density | bits |\n|---|---|")
    print(f"| affine flow | {own.mean():.3f} ± {own.std() / np.sqrt(len(own)):.3f} |")
    as_bytes = [np.round(255 * part).astype(np.uint8) for part in (train, test)]
    for name, (value, error) in gaussian_bits(*as_bytes).items():
        print(f"| {name} | {value:.3f} ± {error:.3f} |", flush=True)
    likelihood = in_batches(flow.log_prob, test)
    print("\n## Which images are more likely than galaxies?\n\nROC-AUC of held-out galaxies by "
          "their likelihood; below 0.5 the others are more likely.\n\n"
          "| other images | ROC-AUC |\n|---|---|")
    others = smooth_images(test)
    if options.radio is not None:
        others["radio sources"] = radio_images(options.radio, len(test))
    for name, images in others.items():
        found = in_batches(flow.log_prob, images.astype(np.float32))
        labels = np.repeat([1, 0], [len(likelihood), len(found)])
        print(f"| {name} | {roc_auc_score(labels, np.r_[likelihood, found]):.3f} |")
    normal = rng.standard_normal((24, size)).astype(np.float32)
    drawn = flow.sample(normal).numpy()
    write_png(options.run / "samples.png", contact_sheet(
        [np.round(255 * image).astype(np.uint8) for image in [*test[:24], *drawn]], 12))
    train_likelihood = in_batches(flow.log_prob, train)[:, None]
    vectors, targets = in_batches(autoencoder.embed, train), in_batches(autoencoder.embed, test[:6])
    rows = []
    for number in range(6):
        for values, target in ((train_likelihood, likelihood[number]), (vectors, targets[number])):
            rows += [test[number], *train[closest(target, values, 9)]]
    write_png(options.run / "closest.png", contact_sheet(
        [np.round(255 * image).astype(np.uint8) for image in rows], 10))
    print(f"\nPictures: {options.run / 'samples.png'}, {options.run / 'closest.png'}")


if __name__ == "__main__":
    main()
