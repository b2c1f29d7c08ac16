"""Does a classifier of real sources recognise the classes of hub:first_mpcc?

    python benchmarks/first_classes.py runs/first_mpcc/data.h5 [--module hub:first_mpcc]

Five classifiers are trained on real sources only, each without one fifth of them (cross
validation), so that the accuracy is measured on all real sources instead of the some fifty per
class that a fit holds out.  Each classifier is then applied to sources that the module generates of
each class, with the columns of the real sources that were left out.  Generated sources are
displaced by up to a pixel, as real ones are, observed through the beam and with the noise of FIRST,
and clipped as the images of the data set are.  (The module may have been trained on these sources:
this is not a test of memorisation.)

The table gives the share of each class that is recognised, and the shares of the classes that
generated sources are taken for, as means over the classifiers; errors are from the scatter between
them, which includes that of their training.  It also gives the observed flux and largest angular
size of generated sources over the requested ones: the median, and the 16th to 84th percentile.

Needs the extras ``train`` and ``dev``; about half an hour on one core, nearly all of it for the
classifiers, which ``--classifiers`` keeps for another module.
"""

import hashlib
from pathlib import Path

import galsim
import keras
import numpy as np
from common import Report, command_line

import galsim_deep
from galsim_deep.observations.clipping import clipped
from galsim_deep.observations.noise import NoiseField
from galsim_deep_training.data.builders.first_sources import extent
from galsim_deep_training.data.dataset import Dataset


def views(stamps: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Stamps [N, S, S] in units of the noise [N], and of their peak: [N, S, S, 2]."""
    peak = stamps.max(axis=(1, 2), keepdims=True)
    return np.stack([0.3 * np.arcsinh(stamps / sigma[:, None, None]),
                     stamps / np.maximum(peak, 1e-12)], axis=-1).astype(np.float32)


def classifier(size: int, classes: int) -> keras.Model:
    """An untrained convolutional network of views [N, S, S, 2]."""
    # The beam is three pixels wide, so that averages of two pixels lose little.
    layers = [keras.layers.Input((size, size, 2)), keras.layers.AveragePooling2D(2),
              keras.layers.RandomFlip(),
              keras.layers.RandomRotation(0.5, fill_mode="constant"),
              keras.layers.RandomTranslation(0.03, 0.03, fill_mode="constant")]
    for channels in (24, 32, 48, 64):
        layers += [keras.layers.Conv2D(channels, 3, padding="same", use_bias=False),
                   keras.layers.BatchNormalization(), keras.layers.ReLU(),
                   keras.layers.MaxPooling2D(2)]
    layers += [keras.layers.Flatten(), keras.layers.Dropout(0.2),
               keras.layers.Dense(64, "relu"), keras.layers.Dropout(0.2),
               keras.layers.Dense(classes)]
    return keras.Sequential(layers)


def trained(images: np.ndarray, labels: np.ndarray, classes: int, seed: int,
            epochs: int) -> keras.Model:
    """A classifier trained on views; all classes have the same weight, whatever their frequency."""
    keras.utils.set_random_seed(seed)
    network = classifier(images.shape[1], classes)
    steps = epochs * len(images) // 64
    network.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    weights = len(labels) / (classes * np.bincount(labels, minlength=classes))
    network.fit(images, labels, batch_size=64, epochs=epochs, verbose=0,
                sample_weight=weights[labels])
    return network


def trained_or_read(path: Path | None, images: np.ndarray, labels: np.ndarray, classes: int,
                    seed: int, epochs: int) -> keras.Model:
    """The classifier of an earlier run from a file if there is one, or a `trained` one.

    A trained one is written to that file; ``path`` is None for no file.
    """
    if path is not None and path.exists():
        network = classifier(images.shape[1], classes)
        network.load_weights(path)
        return network
    network = trained(images, labels, classes, seed, epochs)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        network.save_weights(path)
    return network


def predicted(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """The most probable class of each view, int [N]."""
    return network.predict(images, verbose=0).argmax(axis=1)


def simulated(model: galsim_deep.GenerativeGalaxyModel, dataset: Dataset, rows: np.ndarray,
              number: int, seed: int) -> np.ndarray:
    """Stamps [N, S, S] of class ``number``, observed as these rows of the data set were."""
    columns = {name: values[rows] for name, values in dataset.columns.items()}
    rng = np.random.default_rng([seed, number])
    noise = NoiseField(dataset.noise_correlation[0], dataset.stamp_size)
    psf = galsim.InterpolatedImage(galsim.Image(
        dataset.psfs[0].astype(float), scale=dataset.pixel_scale), flux=1.0)
    stamps = []
    galaxies = model.sample(columns, seeds=rng.integers(2**31, size=len(rows)),
                            galaxy_class=number)
    for galaxy, level in zip(galaxies, dataset.noise_sigma[rows], strict=True):
        image = galsim.Convolve(galaxy, psf).drawImage(
            nx=dataset.stamp_size, ny=dataset.stamp_size, scale=dataset.pixel_scale,
            offset=rng.uniform(-1, 1, 2), method="no_pixel", dtype=float).array
        image = image + level * noise.draw(rng)
        stamps.append(clipped(image, level, *dataset.clipping))
    return np.array(stamps)


def folds_of(dataset: Dataset, folds: int) -> np.ndarray:
    """The fold of each example, int [N]; all examples of a source are in the same one."""
    sources, inverse = np.unique(dataset.source, return_inverse=True)
    return (np.random.default_rng(1).permutation(len(sources)) % folds)[inverse]


def percentiles(values: list[float]) -> str:
    """The median, and the 16th and 84th percentile."""
    low, middle, high = np.quantile(values, [0.16, 0.5, 0.84])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("data", type=Path, help="the data set of the recipe first_mpcc")
    parser.add_argument("--module", default="hub:first_mpcc")
    parser.add_argument("--folds", type=int, default=5, help="parts that are held out in turn")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--count", type=int, default=100,
                        help="sources made of each class for each classifier")
    parser.add_argument("--classifiers", type=Path,
                        help="folder that keeps the trained classifiers [default: none]")
    options = parser.parse_args()
    model = galsim_deep.GenerativeGalaxyModel(options.module)
    dataset, classes = Dataset(options.data), len(model.classes)
    labels, part = dataset.label, folds_of(dataset, options.folds)
    everything = dataset.read(np.arange(len(dataset)))
    images = views(everything["stamp"], everything["noise_sigma"])
    # The first example of each source is as it was observed, the others are rotated.
    first = np.zeros(len(dataset), bool)
    first[np.unique(dataset.source, return_index=True)[1]] = True
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()[:12]
    accuracy = np.zeros((options.folds, classes))
    taken = np.zeros((options.folds, classes, classes))
    flux, size = ([[] for _ in range(classes)] for _ in range(2))
    for number in range(options.folds):
        learned, unseen = part != number, first & (part == number)
        path = options.classifiers and options.classifiers / (
            f"{digest}-{number}-of-{options.folds}-{options.epochs}-epochs.weights.h5")
        network = trained_or_read(
            path, images[learned], labels[learned], classes, number, options.epochs)
        right = predicted(network, images[unseen]) == labels[unseen]
        rng = np.random.default_rng([2, number])
        for asked in range(classes):
            of_class = labels[unseen] == asked
            accuracy[number, asked] = right[of_class].mean()
            rows = rng.choice(np.flatnonzero(unseen)[of_class], options.count)
            stamps = simulated(model, dataset, rows, asked, number)
            taken[number, asked] = np.bincount(
                predicted(network, views(stamps, dataset.noise_sigma[rows])),
                minlength=classes) / options.count
            flux[asked].extend(stamps.sum(axis=(1, 2)) / dataset.columns["flux_density"][rows])
            size[asked].extend([dataset.pixel_scale * extent(stamp) for stamp in stamps]
                               / dataset.columns["size"][rows])
    report = Report(["class", "real sources", "recognised", "generated", "recognised",
                     "difference", *(f"taken for {name}" for name in model.classes),
                     "flux, observed / requested",
                     "size, observed / requested"])
    for asked, name in enumerate(model.classes):
        shares = taken[:, asked].mean(axis=0)
        difference = taken[:, asked, asked] - accuracy[:, asked]
        error = difference.std(ddof=1) / np.sqrt(options.folds)
        report.add(name, f"{np.sum(labels[first] == asked)}", f"{accuracy[:, asked].mean():.3f}",
                   f"{options.folds * options.count}", f"{shares[asked]:.3f}",
                   f"{100 * difference.mean():+.1f} +- {100 * error:.1f} points",
                   *(f"{share:.3f}" for share in shares), percentiles(flux[asked]),
                   percentiles(size[asked]))
    report.write(options.output)


if __name__ == "__main__":
    main()
