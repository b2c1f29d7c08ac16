"""Does the density of embeddings tell what is not a radio source?

    python benchmarks/radio_outliers.py hub:first_encoder hub:first_maf runs/first_maf/data.h5
        --galaxies gz2_1000_rgb64.npz [--typicality] [--mirabest mirabest_uint8_150px.npz]

A module embeds stamps (any that encodes: a generator with ``encode``, or an encoder), and another
one, the density, gives the log-likelihood of the embeddings.  Held-out radio sources of the data
set, the test split, are compared with

* training sources, as they are and turned by quarters of a turn and mirrored, which should not be
  told apart: a difference is that of what was learnt by heart,
* MiraBest sources, if their file is given, with the builder ``first_sources``; many of them may be
  in the training split too,
* Galaxy Zoo images in grey as they are, with their sky, scaled to the peak of a radio source,
* Galaxy Zoo images made into radio sources, which is a harder test: what is above the sky at their
  borders by 3 sigma, in the middle of a stamp with the peak of a radio source, with the noise of
  the survey, clipped at 3 sigma without islands below 5 sigma as the stamps are; and the same seen
  through the beam,
* noise of the survey, clipped at 3 sigma (the rule about islands would leave nothing of it) and not
  clipped, and both with the peak of a radio source.

The table gives the ROC-AUC: the probability that an outlier is less likely than a held-out source,
with its bootstrap error; 0.5 means that they are not told apart, and less than 0.5 that outliers
are more likely.  The same is given for a Gaussian with the mean and the covariance of the
embeddings of the training split.  `--typicality` adds the ROC-AUC of |ln p - its median in the
training split|: smooth images may be more likely than all images of the training split, and are not
typical either (Nalisnick et al. 2019, arXiv:1906.02994).

Columns that the module takes are measured on the clipped stamp, as for radio sources, and are kept
within the valid range on the card, so that the images decide and not extrapolated columns.

Writes the table (``--output``), a histogram and the least likely held-out sources (``--figures``,
the beginning of their file names).  Some minutes on one core.
"""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import galsim
import numpy as np
from common import Report, command_line
from matplotlib.figure import Figure
from radio_files import without_threshold
from scipy import stats

from galsim_deep.embeddings import Embedder
from galsim_deep.modules import Module
from galsim_deep.modules.card import Card
from galsim_deep.modules.resolve import resolve
from galsim_deep.observations.clipping import clipped
from galsim_deep.observations.noise import NoiseField
from galsim_deep.picture import contact_sheet, render, write_png
from galsim_deep_training.data.builders.first_sources import FirstSources, extent
from galsim_deep_training.data.dataset import Dataset, with_symmetry
from galsim_deep_training.recipe import read_recipe

REQUIRED = 0.95
"""The ROC-AUC that outliers should have."""
RECIPE = Path(__file__).parents[1] / "training" / "recipes" / "first_mpcc.yaml"
"""A recipe of FIRST sources, for the stamps of MiraBest."""
BOOTSTRAP = 300
"""Resamplings for the errors."""
SHOWN = 20
"""Least likely sources in the picture."""


# ---- images that are no radio sources -------------------------------------------------------


def brightness(images: np.ndarray) -> np.ndarray:
    """Colour images uint8 [N, s, s, 3] in grey, above 3 sigma of the sky at their border, peak 1.
    """
    grey = images.astype(float).mean(axis=-1)
    border = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
    sky = np.median(border, axis=1)
    sigma = 1.4826 * np.median(np.abs(border - sky[:, None]), axis=1)
    grey = np.maximum(grey - (sky + 3 * sigma)[:, None, None], 0.0)
    return grey / grey.max(axis=(1, 2), keepdims=True)


def in_the_middle(image: np.ndarray, size: int) -> np.ndarray:
    """An image [s, s] in the middle of a stamp [S, S]; its margin is zero, or cut off."""
    stamp = np.zeros((size, size))
    inner = min(size, len(image))
    to, of = (size - inner) // 2, (len(image) - inner) // 2
    stamp[to:to + inner, to:to + inner] = image[of:of + inner, of:of + inner]
    return stamp


class Survey:
    """What the stamps of a data set have in common: their noise, their beam and their peaks.

    Parameters:
        dataset:    The data set.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.size, self.scale = dataset.stamp_size, dataset.pixel_scale
        self.sigma = float(np.median(dataset.noise_sigma))
        self.clipping = dataset.clipping or (3.0, 5.0)
        self._noise = NoiseField(dataset.noise_correlation[0], self.size)
        self._beam = galsim.InterpolatedImage(galsim.Image(
            dataset.psfs[0].astype(float), scale=self.scale), flux=1.0)
        stamps = dataset.read(dataset.train_indices[::4])["stamp"]
        self.peaks = stamps.max(axis=(1, 2))

    def noise(self, rng: np.random.Generator) -> np.ndarray:
        """A stamp of noise, [S, S]."""
        return self.sigma * self._noise.draw(rng)

    def observed(self, image: np.ndarray, through_beam: bool,
                 rng: np.random.Generator) -> np.ndarray:
        """An image of peak 1 with the peak of a radio source, noise, and clipped, [S, S]."""
        image = in_the_middle(image, self.size)
        if through_beam:
            profile = galsim.InterpolatedImage(galsim.Image(image, scale=self.scale))
            image = galsim.Convolve(profile, self._beam).drawImage(
                nx=self.size, ny=self.size, scale=self.scale, method="no_pixel", dtype=float).array
        stamp = image * rng.choice(self.peaks) / image.max()
        return clipped(stamp + self.noise(rng), self.sigma, *self.clipping)

    def scaled(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """An image with the peak of a radio source, [S, S]."""
        return in_the_middle(image, self.size) * rng.choice(self.peaks) / image.max()

    def only_noise(self, clip: bool, bright: bool, rng: np.random.Generator) -> np.ndarray:
        """A stamp of noise, clipped at the threshold or not, with the peak of a source or not."""
        stamp = self.noise(rng)
        if clip:
            stamp = np.where(stamp > self.clipping[0] * self.sigma, stamp, 0.0)
        if bright and stamp.max() > 0:
            stamp = stamp * rng.choice(self.peaks) / stamp.max()
        return stamp


def mirabest(path: Path, size: int) -> np.ndarray:
    """Stamps [N, S, S] of the sources of MiraBest, as those of the data set are made."""
    recipe = read_recipe(RECIPE)
    recipe = recipe.model_copy(update=dict(stamp=recipe.stamp.model_copy(update=dict(size=size))))
    with np.load(path) as content, tempfile.TemporaryDirectory() as folder:
        count, file = len(content["images"]), f"{folder}/mirabest.npz"
        # The builder expects images with the threshold subtracted, which these are not.
        images = np.stack([without_threshold(image) for image in content["images"]])
        np.savez(file, images=images, ra=content["ra"], dec=content["dec"],
                 label=np.full(count, -1), split=np.full(count, "test"))
        builder = FirstSources(FirstSources.Settings(file_name=file), recipe)
        examples = [builder.example(number) for number in range(len(builder))]
    return np.array([example.stamp for example in examples if example is not None])


# ---- scores ---------------------------------------------------------------------------------


def auc(outliers: np.ndarray, sources: np.ndarray) -> float:
    """Probability that the score of an outlier is higher than that of a source; ties count half."""
    return float(stats.mannwhitneyu(outliers, sources).statistic / (len(outliers) * len(sources)))


def auc_with_error(outliers: np.ndarray, sources: np.ndarray) -> tuple[float, float]:
    """`auc`, and its standard error by resampling both sets."""
    rng = np.random.default_rng(3)
    again = [auc(rng.choice(outliers, len(outliers)), rng.choice(sources, len(sources)))
             for _ in range(BOOTSTRAP)]
    return auc(outliers, sources), float(np.std(again))


class Scorer:
    """Embeds stamps, and gives how unlikely they are.

    Parameters:
        module:         Handle of the module that embeds.
        density:        Handle of the density of its embeddings.
        dataset:        The data set; its training split gives the Gaussian and the median.

    Attributes:
        train:          The stamps of the training split as they were observed, [N, S, S].
    """

    def __init__(self, module: str, density: str, dataset: Dataset) -> None:
        self._embedder, self._density = Embedder(module), Module(resolve(density))
        self._dataset = dataset
        # The first example of each source is as it was observed, the others are rotated.
        rows = dataset.train_indices
        self.train = self.stamps(rows[np.unique(dataset.source[rows], return_index=True)[1]])
        embeddings = self._embedded(self.train)
        self._mean = embeddings.mean(axis=0)
        covariance = np.cov(embeddings, rowvar=False)
        # Directions that the module does not use have no variance.
        floor = 1e-6 * np.trace(covariance) / len(covariance)
        self._inverse = np.linalg.inv(covariance + floor * np.eye(len(covariance)))
        self.log_prob_of_train = self._log_prob(embeddings, self.train)

    def stamps(self, rows: np.ndarray) -> np.ndarray:
        """Stamps of the data set, [N, S, S]."""
        return self._dataset.read(rows)["stamp"]

    def _columns(self, stamps: np.ndarray, card: Card) -> dict[str, np.ndarray]:
        """The columns of a module, measured on stamps [N, S, S], within their valid ranges."""
        threshold = (self._dataset.clipping or (3.0, 5.0))[0]
        lit = np.where(stamps > threshold * np.median(self._dataset.noise_sigma), stamps, 0.0)
        measured = dict(flux=lit.sum(axis=(1, 2)), largest_angular_size=np.array(
            [self._dataset.pixel_scale * extent(stamp) for stamp in lit]))
        return {column.name: np.clip(measured[column.quantity], *column.valid_range)
                for column in card.columns}

    def _embedded(self, stamps: np.ndarray) -> np.ndarray:
        return self._embedder.embed(
            stamps, psf=self._dataset.psfs[0], noise_sigma=np.median(self._dataset.noise_sigma),
            columns=self._columns(stamps, self._embedder.card)).astype(float)

    def _log_prob(self, embeddings: np.ndarray, stamps: np.ndarray) -> np.ndarray:
        """ln p, [N].  It is taken for -1e30 where the flow overflows."""
        inputs = self._density.tensorflow.signature_inputs("log_prob")
        columns = {name: values for name, values in
                   self._columns(stamps, self._density.card).items() if name in inputs}
        found = self._density.call("log_prob", latent=embeddings, **columns)["log_prob"]
        return np.where(np.isfinite(found), found, -1e30).astype(float)

    def scores(self, stamps: np.ndarray) -> dict[str, np.ndarray]:
        """How unlikely stamps [N, S, S] are, [N] each, higher for outliers.

        ``density`` is -ln p; ``typicality`` the distance of ln p from its median; ``gaussian`` the
        squared distance from the mean in units of the covariance.
        """
        embeddings = self._embedded(stamps)
        log_prob = self._log_prob(embeddings, stamps)
        offset = embeddings - self._mean
        return dict(density=-log_prob,
                    typicality=np.abs(log_prob - np.median(self.log_prob_of_train)),
                    gaussian=np.einsum("ni,ij,nj->n", offset, self._inverse, offset))


# ---- pictures -------------------------------------------------------------------------------


def histogram(scores: dict[str, dict[str, np.ndarray]], train: np.ndarray, path: Path) -> None:
    """Histograms of ln p, on an axis about ten times as long as the range of the training split."""
    values = {name: -one["density"] for name, one in scores.items()}
    low, high = np.quantile(train, [0.01, 0.99])
    limits = low - 9 * (high - low), high + (high - low)
    figure = Figure((7.0, 0.9 * len(values)), layout="constrained")
    rows = figure.subplots(len(values), 1, sharex=True)
    for axes, (name, one) in zip(rows, values.items(), strict=True):
        axes.hist(np.clip(one, *limits), bins=np.linspace(*limits, 80), density=True,
                  color="C1" if name.startswith(("Galaxy Zoo", "noise")) else "0.5")
        axes.axvline(low, color="k", lw=0.5, ls=":")
        axes.set_title(name, fontsize=8, loc="left")
        axes.set_yticks([])
    rows[-1].set_xlabel("ln p; the first bin has all below, and the dotted line 99 % of the "
                        "training sources above", fontsize=8)
    figure.savefig(path, dpi=120)


def sheet(stamps: np.ndarray, sigma: float, path: Path) -> None:
    """A picture of stamps [N, S, S], ten in a row."""
    write_png(path, contact_sheet([render(stamp, 3 * sigma) for stamp in stamps], 10))


# ---- the benchmark --------------------------------------------------------------------------


def outliers(survey: Survey, galaxies: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Images that are no radio sources, [count, S, S] each, by what they are."""
    rng = np.random.default_rng(1)
    galaxies = galaxies[rng.permutation(len(galaxies))[:count]]
    bright = brightness(galaxies)

    def many(make: Callable[[], np.ndarray]) -> np.ndarray:
        return np.array([make() for _ in range(count)])

    return {
        "Galaxy Zoo, as they are": np.array([
            survey.scaled(image, rng) for image in galaxies.astype(float).mean(axis=-1)]),
        "Galaxy Zoo, as radio sources":
            np.array([survey.observed(image, False, rng) for image in bright]),
        "Galaxy Zoo, as radio sources, through the beam":
            np.array([survey.observed(image, True, rng) for image in bright]),
        **{f"noise, {'clipped' if clip else 'not clipped'}{', bright' if bright else ''}":
           many(functools.partial(survey.only_noise, clip, bright, rng))
           for clip in (True, False) for bright in (False, True)}}


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("module", help="the module that embeds")
    parser.add_argument("density", help="the density of its embeddings")
    parser.add_argument("data", type=Path, help="the data set of a recipe of FIRST sources")
    parser.add_argument("--galaxies", type=Path, required=True,
                        help=".npz with colour images of galaxies, uint8 [N, s, s, 3]")
    parser.add_argument("--mirabest", type=Path,
                        help=".npz with images of MiraBest, uint8 [N, s, s], ra and dec")
    parser.add_argument("--typicality", action="store_true",
                        help="also the distance of ln p from its median, in both directions")
    parser.add_argument("--count", type=int, default=400, help="images of each kind of outlier")
    parser.add_argument("--figures", type=Path,
                        help="beginning of the file names of the figures [default: none]")
    options = parser.parse_args()
    dataset = Dataset(options.data)
    scorer, survey = Scorer(options.module, options.density, dataset), Survey(dataset)
    held_out = scorer.stamps(dataset.test_indices)
    rng = np.random.default_rng(2)
    known = rng.permutation(len(scorer.train))[:options.count]
    with np.load(options.galaxies) as content:
        strange = outliers(survey, content["images"], options.count)
    familiar = {
        "training sources": scorer.train[known],
        "training sources, turned": np.array([
            with_symmetry(scorer.train[row], symmetry)
            for row, symmetry in zip(known, rng.integers(1, 8, len(known)), strict=True)])}
    if options.mirabest is not None:
        familiar["MiraBest sources"] = mirabest(options.mirabest, survey.size)
    kinds = ["density", *(["typicality"] if options.typicality else []), "gaussian"]
    sources = scorer.scores(held_out)
    limit = np.quantile(scorer.log_prob_of_train, 0.01)
    scores = {"held-out sources": sources} | {
        name: scorer.scores(stamps) for name, stamps in (familiar | strange).items()}
    report = Report(
        ["images", "number", "ln p, median", "below 99 % of the training sources",
         *(dict(density="ROC-AUC", typicality="ROC-AUC, typicality", gaussian="ROC-AUC, Gaussian")
           [kind] for kind in kinds)],
        above=f"{options.density} of embeddings by {options.module}")
    missed = []
    for name, one in scores.items():
        found = {kind: auc_with_error(one[kind], sources[kind]) for kind in kinds}
        same = name == "held-out sources"
        report.add(name, f"{len(one['density'])}", f"{np.median(-one['density']):.1f}",
                   f"{np.mean(-one['density'] < limit):.3f}",
                   *("" if same else "{:.3f} +- {:.3f}".format(*found[kind]) for kind in kinds))
        if name in strange and found["density"][0] < REQUIRED:
            missed.append((name, found))
    verdict = conclusion(missed)
    print(verdict)
    report.write(options.output)
    if options.output is not None:
        options.output.write_text(f"{options.output.read_text()}\n{verdict}\n")
    if options.figures is not None:
        histogram(scores, scorer.log_prob_of_train,
                  options.figures.with_name(options.figures.name + "_log_prob.png"))
        order = np.argsort(-sources["density"])[:SHOWN]
        sheet(held_out[order], survey.sigma,
              options.figures.with_name(options.figures.name + "_least_likely.png"))
        sheet(np.concatenate([stamps[:10] for stamps in strange.values()]), survey.sigma,
              options.figures.with_name(options.figures.name + "_outliers.png"))


def conclusion(missed: list[tuple[str, dict[str, tuple[float, float]]]]) -> str:
    """A sentence about the outliers that ln p alone does not tell from sources."""
    if not missed:
        return f"The log-likelihood alone reaches a ROC-AUC of {REQUIRED} for all outliers."
    parts = []
    for name, found in missed:
        value = found["density"][0]
        part = f"{name} ({value:.3f}"
        if value < 0.5:
            part += ", they are more likely than sources"
        if "typicality" in found:
            part += f"; typicality {found['typicality'][0]:.3f}"
        parts.append(part + ")")
    return (f"The log-likelihood alone does not reach a ROC-AUC of {REQUIRED} for "
            f"{', '.join(parts)}.")


if __name__ == "__main__":
    main()
