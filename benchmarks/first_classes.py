"""Is what hub:first_mpcc makes of a class what a classifier of real sources takes for that class?

    python benchmarks/first_classes.py runs/first_mpcc/data.h5 [--module hub:first_mpcc]

A classifier is trained on real sources alone, once for each fifth of the sources, which it does
not see: so its accuracy is known from all sources, and not from the fifty or so of a class that a
fit holds out.  All five are applied to what the module makes of each asked class, with the columns
of real sources of that class, up to a pixel off the middle, as those are, seen through the beam
and the noise of FIRST and clipped as the images of the data set are.  Printed are the shares that
each class is recognised in, and what generated sources are taken for, means over the classifiers.
Standard errors are those of the numbers of sources.  Needs the extras ``train`` and ``dev``; about
a quarter of an hour.
"""

from pathlib import Path

import galsim
import keras
import numpy as np
from common import Report, command_line

import galsim_deep
from galsim_deep.clipping import clipped
from galsim_deep_training.data.dataset import Dataset
from galsim_deep_training.data.noise import NoiseField


def shown(stamps, sigma):
    """Stamps as the classifier sees them: in units of the noise, and of their peak."""
    peak = stamps.max(axis=(1, 2), keepdims=True)
    return np.stack([0.3 * np.arcsinh(stamps / sigma[:, None, None]),
                     stamps / np.maximum(peak, 1e-12)], axis=-1).astype(np.float32)


def classifier(size, classes):
    # A beam is three pixels wide: no harm in pairs of them.
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


def trained(images, labels, classes, seed, epochs):
    """A classifier; classes count alike, however frequent they are."""
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


def taken_for(network, images):
    """The classes that a network takes images for, [N]."""
    return network.predict(images, verbose=0).argmax(axis=1)


def made(model, dataset, rows, number, seed):
    """Stamps of one class of the module, observed as the data set was; with their noise."""
    columns = {name: values[rows] for name, values in dataset.columns.items()}
    rng = np.random.default_rng([seed, number])
    noise = NoiseField(dataset.noise_correlation[0], dataset.stamp_size)
    psf = galsim.InterpolatedImage(galsim.Image(
        dataset.psfs[0].astype(float), scale=dataset.pixel_scale), flux=1.0)
    sigma, stamps = dataset.noise_sigma[rows], []
    galaxies = model.sample(columns, seeds=np.arange(len(rows)) + 1000 * number,
                            cluster=number)
    for galaxy, level in zip(galaxies, sigma, strict=True):
        image = galsim.Convolve(galaxy, psf).drawImage(
            nx=dataset.stamp_size, ny=dataset.stamp_size, scale=dataset.pixel_scale,
            offset=rng.uniform(-1, 1, 2), method="no_pixel", dtype=float).array
        image = image + level * noise.draw(rng)
        stamps.append(clipped(image, level, *dataset.clipping))
    return np.array(stamps), sigma


def main():
    parser = command_line(__doc__)
    parser.add_argument("data", type=Path, help="the data set of the recipe first_mpcc")
    parser.add_argument("--module", default="hub:first_mpcc")
    parser.add_argument("--folds", type=int, default=5, help="parts that are held out in turn")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--count", type=int, default=500, help="sources made of each class")
    options = parser.parse_args()
    model = galsim_deep.GenerativeGalaxyModel(options.module)
    dataset, classes = Dataset(options.data), len(model.clusters)
    labels, train = dataset.label, dataset.train_indices
    rng = np.random.default_rng(1)
    generated = []
    for number in range(classes):
        rows = rng.choice(train[labels[train] == number], options.count)
        generated.append(shown(*made(model, dataset, rows, number, 1)))
    everything = dataset.read(np.arange(len(dataset)))
    images = shown(everything["stamp"], everything["noise_sigma"])
    # Of each source the first example is as it was observed, the others are turned.
    sources, first = np.unique(dataset.source, return_index=True)
    fold = dict(zip(sources, rng.permutation(len(sources)) % options.folds, strict=True))
    fold = np.array([fold[source] for source in dataset.source])
    right, taken = np.zeros(len(first), bool), np.zeros((classes, classes))
    for held_out in range(options.folds):
        of_fold, learned = fold[first] == held_out, fold != held_out
        network = trained(images[learned], labels[learned], classes, held_out, options.epochs)
        rows = first[of_fold]
        right[of_fold] = taken_for(network, images[rows]) == labels[rows]
        for number in range(classes):
            taken[number] += np.bincount(
                taken_for(network, generated[number]), minlength=classes) / options.folds
    report = Report(["class", "real sources, held out", "recognised", "generated", "recognised",
                     "difference", *(f"taken for {name}" for name in model.clusters)])
    for number, name in enumerate(model.clusters):
        of_class = right[labels[first] == number]
        shares = taken[number] / options.count
        share, accuracy = shares[number], of_class.mean()
        error = np.sqrt(accuracy * (1 - accuracy) / len(of_class)
                        + share * (1 - share) / options.count)
        report.add(name, f"{len(of_class)}", f"{accuracy:.3f}", f"{options.count}", f"{share:.3f}",
                   f"{100 * (share - accuracy):+.1f} +- {100 * error:.1f} points",
                   *(f"{one:.3f}" for one in shares))
    report.write(options.output)


if __name__ == "__main__":
    main()
