"""The classes of a module: how frequent they are, how they look, and whether they are real.

The class of a generated galaxy is known.  That of a real one is the class that the module's own
encoder finds.  A class therefore means the same on both sides only as far as the encoder is right,
which is tested with generated galaxies.
"""

__all__ = ["EXPLAINED", "Classes"]

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...measure.statistics import STATISTICS
from ...modules.card import GalaxyClass
from ..estimates import UNKNOWN, estimate, mean, quantiles
from ..explained import explained, explained_by_chance
from ..figures import COLOURS, LABELS, Figure, new_figure
from ..frequencies import class_frequencies
from ..galaxy_classes import Classification, ClassSamples, classify, draw_class_samples
from ..settings import MIN_GALAXIES, MIN_SOURCES
from ..tiles import GAP, Stretch, mosaic
from ..two_sample import LEVEL, bootstrap_weights
from .base import CardFigures, Section

if TYPE_CHECKING:
    import matplotlib.figure

    from ..comparison import Comparison

EXPLAINED = ("gini", "concentration", "m20")
"""The statistics for which the share of the variance that the classes explain is computed."""
COMPARED_SAMPLES = ("generated", "real")
"""The samples that are compared."""
LEAST_SIGNAL = 2.5
"""Lowest mean signal-to-noise ratio of a pixel at which noise does not dominate Gini and M20 (Lotz
et al. 2004, arXiv:astro-ph/0311352, section 3)."""
SHUFFLES = 500
"""How often classes are assigned at random."""
COUNT = 6
"""Galaxies of each class that are shown."""
BRIGHTEST_SHARE = 0.5
"""They are chosen from this share of the sample, the brightest, since faint galaxies all look
alike."""


class Classes(Section):
    """The classes of a module: their frequencies, their galaxies, and what they explain.

    Only modules with classes have this section.

    Example, for a ``comparison`` of a module without classes:

        >>> Classes.applies_to(comparison), comparison.card.classes
        (False, ())
    """

    name = "classes"

    @classmethod
    def applies_to(cls, comparison: "Comparison") -> bool:
        return bool(comparison.card.classes)

    @functools.cached_property
    def classification(self) -> Classification:
        """The classes of all galaxies."""
        comparison = self.comparison
        return classify(
            comparison.galaxies, comparison.module, comparison.reconstructor, comparison.units,
            comparison.streams, comparison.progress)

    @functools.cached_property
    def frequencies(self) -> dict[str, Any]:
        """How often each class is drawn, as in `class_frequencies`."""
        return class_frequencies(
            self.comparison.module, self.comparison.galaxies.columns,
            self.comparison.streams.generator("class frequencies"))

    @functools.cached_property
    def samples(self) -> ClassSamples:
        """Galaxies of each class, to show."""
        comparison = self.comparison
        return draw_class_samples(
            comparison.galaxies, comparison.module,
            comparison.bright_to_faint(COUNT, BRIGHTEST_SHARE), comparison.units,
            comparison.streams)

    @functools.cached_property
    def _weights(self) -> np.ndarray:
        """Bootstrap weights of the galaxies, float64 [B, N]."""
        return bootstrap_weights(
            self.comparison.measurements.source, self.comparison.settings.bootstraps,
            self.comparison.streams.sequence("bootstrap of classes"))

    # ---- numbers -------------------------------------------------------------------------------

    def compute(self) -> dict[str, Any]:
        reliable = self.reliable()
        classes = dict(
            frequencies=self.frequencies, reliable=int(reliable.sum()), least_signal=LEAST_SIGNAL,
            of_class=[self._of_class(number, galaxy_class)
                      for number, galaxy_class in enumerate(self.comparison.card.classes)],
            explained=self._explained(reliable))
        if "generated" in self.classification.encoded:
            classes["recovered"] = self._recovered(reliable)
        return dict(classes=classes)

    def reliable(self) -> np.ndarray:
        """Galaxies whose Gini, M20 and C are reliable on both the real and the generated stamp.

        All of them were measured, neither stamp is flagged ``off_centre``, and both have a mean
        signal-to-noise ratio of at least `LEAST_SIGNAL` per pixel.

        Returns:
            bool [N].
        """
        measurements = self.comparison.measurements
        reliable = np.ones(len(measurements), bool)
        for sample in COMPARED_SAMPLES:
            for name in EXPLAINED:
                reliable &= np.isfinite(measurements.values[sample][name])
            reliable &= ~measurements.flags[sample]["off_centre"]
            signal = self._signal(sample)
            reliable &= np.where(np.isfinite(signal), signal, 0.0) >= LEAST_SIGNAL
        return reliable

    def _signal(self, sample: str) -> np.ndarray:
        """Mean signal-to-noise ratio of the pixels within two sigma of the adaptive Gaussian, [N].
        """
        values = self.comparison.measurements.values[sample]
        area = 4 * np.pi * (values["size"] / self.comparison.galaxies.pixel_scales) ** 2
        with np.errstate(invalid="ignore", divide="ignore"):
            return (10 ** values["amplitude"] * (1 - np.exp(-2)) / area
                    / self.classification.noise_sigma)

    def _of_class(self, number: int, galaxy_class: GalaxyClass) -> dict[str, Any]:
        """One class: how frequent it is, and the statistics of its galaxies."""
        frequencies, expected = self.frequencies, self.frequencies["expected"]
        entry: dict[str, Any] = dict(
            name=galaxy_class.name, description=galaxy_class.description, share=galaxy_class.share,
            expected=None if expected is None else expected[number] / frequencies["draws"],
            drawn=frequencies["drawn"][number] / frequencies["draws"])
        for sample, classes in self._classes_of_samples().items():
            members = classes == number
            is_member = np.where(classes >= 0, members, np.nan)
            entry[sample] = dict(
                n=int(members.sum()), share=mean(is_member, self._weights),
                statistics={statistic.name: self._spread(statistic.name, sample, members)
                            for statistic in STATISTICS if not statistic.oriented})
        return entry

    def _classes_of_samples(self) -> dict[str, np.ndarray]:
        """The class of each galaxy: drawn for generated ones, found by the encoder for real ones.

        Returns:
            {sample: int [N]}, without the real sample for a module that does not encode.
        """
        classes = dict(generated=self.classification.drawn)
        if "real" in self.classification.encoded:
            classes["real"] = self.classification.encoded["real"]
        return classes

    def _spread(self, name: str, sample: str, members: np.ndarray) -> dict[str, Any]:
        """Median and 16th to 84th percentile of a statistic of some galaxies of a sample.

        Only galaxies of which the statistic could be measured on both the generated and the real
        stamp are used, so that the selection is the same for both samples.
        """
        values = self.comparison.measurements.values
        use = members & np.all(
            [np.isfinite(values[compared][name]) for compared in COMPARED_SAMPLES], axis=0)
        n = int(use.sum())
        if not n:
            return dict(n=0, median=dict(UNKNOWN), low=float("nan"), high=float("nan"))
        numbers = values[sample][name][use]
        low, median, high = quantiles(numbers, np.ones((1, n)))[0]
        return dict(n=n, low=float(low), high=float(high), median=estimate(
            median, quantiles(numbers, self._weights[:, use])[:, 1]))

    def _explained(self, reliable: np.ndarray) -> dict[str, Any]:
        """The share of the variance of each of `EXPLAINED` that the classes explain.

        ``generated``: by the class that was drawn; ``real`` and ``generated_found``: by the class
        that the encoder finds.  All use the same galaxies.
        """
        measurements, encoded = self.comparison.measurements, self.classification.encoded
        kinds = dict(generated=("generated", self.classification.drawn))
        if encoded:
            kinds["real"] = "real", encoded["real"]
            kinds["generated_found"] = "generated", encoded["generated"]
        use = reliable & np.all([classes >= 0 for _, classes in kinds.values()], axis=0)
        groups = measurements.source[use]
        enough = use.sum() >= MIN_GALAXIES and len(np.unique(groups)) >= MIN_SOURCES
        result = {}
        for name in EXPLAINED:
            entry: dict[str, Any] = dict(n=int(use.sum()), sources=len(np.unique(groups)))
            for number, (kind, (sample, classes)) in enumerate(kinds.items()):
                if not enough:
                    entry[kind] = None
                    continue
                values = measurements.values[sample][name][use]
                chance = explained_by_chance(
                    values, classes[use], groups, SHUFFLES,
                    self.comparison.streams.sequence("shuffled classes", number))
                entry[kind] = dict(
                    estimate(explained(values, classes[use])[0],
                             explained(values, classes[use], self._weights[:, use])),
                    chance=[float(q) for q in np.quantile(chance, [0.5, LEVEL])])
            result[name] = entry
        return result

    def _recovered(self, reliable: np.ndarray) -> dict[str, Any]:
        """How often the encoder finds the class with which a galaxy was generated."""
        drawn_classes = self.classification.drawn
        encoded_classes = self.classification.encoded["generated"]
        count = len(self.comparison.card.classes)
        has_class = encoded_classes >= 0
        confusion = np.zeros((count, count), int)
        np.add.at(confusion, (drawn_classes[has_class], encoded_classes[has_class]), 1)
        right = np.where(has_class, drawn_classes == encoded_classes, np.nan)

        def share(rows: np.ndarray) -> dict[str, Any]:
            rows = rows & has_class
            # The share for an encoder that draws classes at random, as often as it finds them.
            chance = sum(
                float(np.mean(drawn_classes[rows] == class_number)
                      * np.mean(encoded_classes[rows] == class_number))
                for class_number in range(count)) if rows.any() else float("nan")
            return dict(mean(right[rows], self._weights[:, rows]), n=int(rows.sum()),
                        chance=chance)

        return dict(all=share(np.ones(len(drawn_classes), bool)), reliable=share(reliable),
                    confusion=confusion.tolist())

    def galaxy_columns(self) -> dict[str, np.ndarray]:
        columns = dict(generated_class=self.classification.drawn)
        for sample, classes in self.classification.encoded.items():
            columns[f"{sample}_class_found"] = classes
        return columns

    @classmethod
    def card_figures(cls, results: Mapping[str, Any]) -> CardFigures:
        if "classes" not in results:
            return
        classes = results["classes"]
        yield "class_chi_square_p", classes["frequencies"]["p"]
        yield "class_recovered", classes.get("recovered", {}).get("all")
        for name, entry in classes["explained"].items():
            for kind in ("generated", "real", "generated_found"):
                yield f"eta2_{name}_{kind}", entry.get(kind)

    # ---- figures -------------------------------------------------------------------------------

    def figures(self, results: Mapping[str, Any]) -> Iterator[Figure]:
        if len(self.samples.rows):
            yield Figure(
                "class_samples", "Galaxies of each class, one class in each row. Each column has "
                "the same catalogue values and random numbers; with PSF and noise on the left, the "
                "light profiles on the right. Below the names are the frequencies of the classes "
                "in the training sample.", self._draw_samples())
        yield Figure(
            "class_statistics", "Gini, C and M20 in each class: of generated galaxies, whose class "
            "is known, and of real ones by the class that the encoder finds. Boxes hold the middle "
            "68 % of the galaxies, whiskers the middle 95 %, and lines are medians.",
            self._draw_statistics())

    def _draw_samples(self) -> "matplotlib.figure.Figure":
        """A row of galaxies for each class, as observed and without PSF and noise."""
        samples = self.samples
        stretches = []
        for number in samples.rows:
            observation = self.comparison.galaxies.observation(int(number))
            stretches.append(Stretch.of(observation.stamp, observation.noise_sigma))
        tiles = [[stretch.image(stamp) for stamps in (samples.generated[k], samples.profile[k])
                  for stretch, stamp in zip(stretches, stamps, strict=True)]
                 for k in range(len(samples.generated))]
        figure = mosaic(tiles, [f"{galaxy_class.name}\n{100 * galaxy_class.share:.3g} %"
                                for galaxy_class in self.comparison.card.classes])
        axis, half = figure.axes[0], len(samples.rows) * (tiles[0][0].shape[0] + GAP)
        axis.xaxis.tick_top()
        axis.set_xticks([0.5 * half, 1.5 * half], ["as observed", "profile, no PSF or noise"])
        axis.axvline(half - 0.5 * (GAP + 1), color="k", lw=1.5)
        return figure

    def _draw_statistics(self) -> "matplotlib.figure.Figure":
        """The distributions of Gini, C and M20 in each class, of generated and of real galaxies."""
        values, classes = self.comparison.measurements.values, self._classes_of_samples()
        names = [galaxy_class.name for galaxy_class in self.comparison.card.classes]
        figure = new_figure(max(6.0, 1.6 + 0.8 * len(names)), 7.5)
        axes = figure.subplots(len(EXPLAINED), 1, sharex=True)
        for axis, name in zip(axes, EXPLAINED, strict=True):
            measured = np.all(
                [np.isfinite(values[compared][name]) for compared in COMPARED_SAMPLES], axis=0)
            for sample, shift in [("generated", -0.18), ("real", 0.18)]:
                if sample not in classes:
                    continue
                style = dict(color=COLOURS[sample], lw=1.3)
                for number in range(len(names)):
                    numbers = values[sample][name][measured & (classes[sample] == number)]
                    if len(numbers):
                        axis.bxp([_box(numbers)], positions=[number + shift], widths=0.3,
                                 showfliers=False, boxprops=style, medianprops=style,
                                 whiskerprops=style, capprops=style)
                axis.plot([], [], color=COLOURS[sample], label=sample)
            axis.set_ylabel(LABELS[name])
            axis.set_xlim(-0.6, len(names) - 0.4)
        axes[0].legend(fontsize=8)
        axes[-1].set_xticks(range(len(names)), names, rotation=30 if len(names) > 4 else 0,
                            ha="right" if len(names) > 4 else "center")
        return figure

    # ---- page ----------------------------------------------------------------------------------

    def page_variables(self) -> dict[str, Any]:
        return dict(labels=LABELS)

    template = """
{% set classes = results.classes %}
{% set frequencies = classes.frequencies %}
<h2>Classes</h2>
<p>The module distinguishes {{ classes.of_class | length }} classes of galaxies. The class of a
generated galaxy is known; that of a real one is the class that the module’s own encoder finds most
probable.
{% if frequencies.expected is not none %}
The frequencies of the classes of {{ frequencies.draws }} galaxies, drawn for rows of the real
catalogue, agree with the module’s prior with χ² = {{ frequencies.chi_square | number }} for
{{ frequencies.degrees }} degrees of freedom, p = <b>{{ frequencies.p | number }}</b>.
{% else %}
The module has no signature “prior”, so their expected frequencies are not known.
{% endif %}
{% if classes.recovered is defined %}
The encoder finds the class of a generated galaxy for a share of
<b>{{ classes.recovered["all"] | value }}</b> of all galaxies
({{ classes.recovered["all"].chance | number }} by chance), and of
{{ classes.recovered.reliable | value }} of those with a good signal.
{% else %}
The classes of real galaxies are not known. {{ results.no_reconstruction }}
{% endif %}</p>
<div class="scroll"><table><thead><tr><th>class</th><th>share on<br>the card</th>
<th>expected for<br>these galaxies</th><th>drawn</th><th>generated<br>galaxies</th>
<th>real<br>galaxies</th><th>share of<br>the real ones</th></tr></thead><tbody>
{% for galaxy_class in classes.of_class %}
<tr><td>{{ galaxy_class.name }}</td><td>{{ galaxy_class.share | number }}</td>
<td>{{ galaxy_class.expected | number }}</td>
<td>{{ galaxy_class.drawn | number }}</td><td>{{ galaxy_class.generated.n }}</td>
<td>{{ galaxy_class.real.n if galaxy_class.real is defined else "–" }}</td>
<td>{{ (galaxy_class.real.share if galaxy_class.real is defined else None) | value }}</td></tr>
{% endfor %}
</tbody></table></div>
{{ figures }}

<h3>How much the classes explain</h3>
<div class="scroll"><table><thead><tr><th>share of the variance (η²)</th><th>n</th>
<th>generated</th><th>by chance<br>(99 %)</th><th>real, class<br>by the encoder</th>
<th>by chance<br>(99 %)</th><th>generated, class<br>by the encoder</th><th>by chance<br>(99 %)</th>
</tr></thead><tbody>
{% for name, entry in classes.explained.items() %}
<tr><td>{{ labels[name] }}</td><td>{{ entry.n }}</td>
{% for kind in ("generated", "real", "generated_found") %}
{% set share = entry.get(kind) %}
<td>{{ share | value }}</td>
<td>{% if share %}{{ share.chance[0] | number }} ({{ share.chance[1] | number }})
{%- else %}–{% endif %}</td>
{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
<p class="note">η² is the sum of squares between the classes over that of all galaxies, with errors
by bootstrap over sources. By chance: for classes of the same sizes that are assigned at random,
median and 99th percentile. The same {{ classes.reliable }} galaxies are used throughout: those
whose Gini, M20 and C could be measured on both the generated and the real stamp, which are both
centred and have a mean signal-to-noise ratio of at least {{ classes.least_signal }} per pixel.
Samples of fewer than 30 galaxies or 10 sources are not judged. The last columns show what is lost
if the class has to be found by the encoder.</p>

{% if classes.recovered is defined %}
<h3>Is the class found again?</h3>
<div class="scroll"><table><thead><tr><th>generated as class</th>
{% for galaxy_class in classes.of_class %}<th>{{ galaxy_class.name }}</th>{% endfor %}
</tr></thead><tbody>
{% for row in classes.recovered.confusion %}
<tr><td>{{ classes.of_class[loop.index0].name }}</td>
{% for n in row %}<td>{{ n }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
<p class="note">The number of generated galaxies of each class (rows) that the encoder assigns to
each class (columns). A model with classes decodes an encoded galaxy to one of the same class.
Unless it was trained to, it does not reproduce the galaxy pixel by pixel, as the chi-square of
reconstructions shows.</p>
{% endif %}

<h3>Each class</h3>
{% for galaxy_class in classes.of_class %}
<details><summary>{{ galaxy_class.name }}: {{ galaxy_class.description }}</summary>
<div class="scroll"><table><thead><tr><th>statistic</th><th>generated,<br>median</th>
<th>16 % to 84 %</th><th>n</th><th>real,<br>median</th><th>16 % to 84 %</th><th>n</th></tr></thead>
<tbody>
{% for name in galaxy_class.generated.statistics %}
<tr><td>{{ labels[name] }}</td>
{% for sample in ("generated", "real") %}
{% set in_sample = galaxy_class[sample] %}
{% set spread = in_sample.statistics[name] if in_sample is defined else None %}
{% if spread and spread.n %}
<td>{{ spread.median | value }}</td>
<td>{{ spread.low | number }} to {{ spread.high | number }}</td><td>{{ spread.n }}</td>
{% else %}<td>–</td><td>–</td><td>0</td>{% endif %}
{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
</details>
{% endfor %}
<p class="note">Only galaxies of which the statistic could be measured on both the generated and the
real stamp are used.</p>
"""


def _box(values: np.ndarray) -> dict[str, float]:
    """The box of matplotlib's ``bxp``: the middle 68 % and 95 % of some values."""
    low, first, median, third, high = np.quantile(values, [0.025, 0.16, 0.5, 0.84, 0.975])
    return dict(whislo=low, q1=first, med=median, q3=third, whishi=high)
