"""Is what hub:first_mpcc makes of a class what a classifier of real sources takes for that class?

    python benchmarks/first_classes.py runs/first_mpcc/data.h5 [--module hub:first_mpcc]

Networks are trained on the real sources of the training split alone.  They are applied to the
held-out real ones, and to sources that the module makes of each asked class, with the
columns of real sources of that class, seen through the beam and the noise of FIRST and clipped as
the images of the data set are.  Printed are the shares that each class is recognised in, and the
confusion.  Needs the extras ``train`` and ``dev``; about a quarter of an hour.
"""

from pathlib import Path

import galsim
import keras
import numpy as np
import tensorflow as tf
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


def probabilities(networks, images):
    """The mean over networks, [N, K]."""
    return np.mean([tf.nn.softmax(network.predict(images, verbose=0), axis=-1)
                    for network in networks], axis=0)


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
            method="no_pixel", dtype=float).array
        image = image + level * noise.draw(rng)
        stamps.append(clipped(image, level, *dataset.clipping))
    return np.array(stamps), sigma


def main():
    parser = command_line(__doc__)
    parser.add_argument("data", type=Path, help="the data set of the recipe first_mpcc")
    parser.add_argument("--module", default="hub:first_mpcc")
    parser.add_argument("--networks", type=int, default=3, help="how many are averaged")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--count", type=int, default=500, help="sources made of each class")
    options = parser.parse_args()
    model = galsim_deep.GenerativeGalaxyModel(options.module)
    dataset, classes = Dataset(options.data), len(model.clusters)
    train, test = dataset.train_indices, dataset.test_indices

    def real(rows):
        batch = dataset.read(rows)
        return shown(batch["stamp"], batch["noise_sigma"])

    images = real(train)
    networks = [trained(images, dataset.label[train], classes, seed, options.epochs)
                for seed in range(options.networks)]
    found = probabilities(networks, real(test)).argmax(axis=1)
    rng = np.random.default_rng(1)
    report = Report(["class", "held-out real sources", "recognised", "generated", "recognised",
                     "difference", *(f"taken for {name}" for name in model.clusters)])
    for number, name in enumerate(model.clusters):
        of_class = test[dataset.label[test] == number]
        right = np.mean(found[dataset.label[test] == number] == number)
        rows = rng.choice(train[dataset.label[train] == number], options.count)
        images = shown(*made(model, dataset, rows, number, 1))
        taken = probabilities(networks, images).argmax(axis=1)
        shares = np.bincount(taken, minlength=classes) / options.count
        report.add(name, f"{len(of_class)}", f"{right:.3f}", f"{options.count}",
                   f"{shares[number]:.3f}", f"{100 * (shares[number] - right):+.1f} points",
                   *(f"{share:.3f}" for share in shares))
    report.write(options.output)


if __name__ == "__main__":
    main()
