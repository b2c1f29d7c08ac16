"""The search for copies of training galaxies among the generated ones."""

__all__ = ["Memorisation", "memorisation_results"]

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...observations.observation import Observation
from ..galaxy import SAMPLES
from ..memorisation import canonical, is_caught, memorisation, planted_copy
from .base import Section

MAGNITUDE_LIMIT = 22.5
"""Copies are searched for among galaxies up to this magnitude, since noise hides little in them."""
TRAINING = 4000
"""Largest number of training galaxies that are searched."""
PLANTED = 200
"""Largest number of copies that are planted."""


class Memorisation(Section):
    """Distances of generated galaxies to the nearest training galaxy.

    The method is that of `galsim_deep.validation.memorisation`.  The parametric sample is compared
    too: it cannot be a copy, but it is smooth, and smooth galaxies are near to any other galaxy.
    As a positive control, copies of training galaxies with small changes are planted, which must
    be found.

    Example, for a ``comparison`` without training galaxies:

        >>> Memorisation(comparison).compute()
        {'memorisation': {'skipped': 'no training galaxies were given'}}
    """

    name = "memorisation"

    def compute(self) -> dict[str, Any]:
        reason = self._why_skipped()
        return dict(memorisation=dict(skipped=reason) if reason else self._search())

    def _why_skipped(self) -> str:
        """Why there is no search; empty if there is."""
        galaxies, training = self.comparison.galaxies, self.comparison.training
        if self.comparison.magnitudes is None:
            return "the module has no magnitude among its columns"
        if training is None:
            return "no training galaxies were given"
        if galaxies.recipe_sha256 and galaxies.recipe_sha256 == training.recipe_sha256 and np.isin(
                galaxies.source, training.source).any():
            return "the real galaxies are training galaxies themselves"
        return ""

    def _search(self) -> dict[str, Any]:
        """The results of `memorisation_results`; or ``skipped``, the reason."""
        comparison = self.comparison
        galaxies, training, streams = comparison.galaxies, comparison.training, comparison.streams
        column = comparison.card.column_of("magnitude")
        assert training is not None and column is not None and comparison.magnitudes is not None
        stamps = comparison.measurements.stamps
        searched = comparison.magnitudes < MAGNITUDE_LIMIT
        if galaxies.natural is not None:
            # Galaxies that the module was trained on cannot show how near others are to them.
            searched &= galaxies.natural.parts != "seen"
        bright = np.flatnonzero(searched[:len(stamps["real"])])
        observations = [galaxies.observation(int(number)) for number in bright]
        images, indices = {}, {}
        for number, sample in enumerate(SAMPLES):
            images[sample], indices[sample] = _canonical_images(
                observations, stamps[sample][bright],
                streams.generator("canonical images", number))
        chosen = np.flatnonzero(training.columns[column.name] < MAGNITUDE_LIMIT)
        chosen = streams.generator("choice of training galaxies").permutation(chosen)[:TRAINING]
        trained = [training.observation(int(number)) for number in chosen]
        training_images, training_indices = _canonical_images(
            trained, [observation.stamp for observation in trained],
            streams.generator("canonical training images"))
        if not (training_images and images["real"] and images["generated"]):
            return dict(skipped="too few galaxies are bright and large enough")
        copied = [trained[index] for index in training_indices[:PLANTED]]
        planted, twins = (
            _canonical_images(copied, [planted_copy(observation, observation.stamp, rng)
                                       for observation in copied], rng)
            for rng in (streams.generator("planted copies", number) for number in range(2)))
        images["planted"], number = planted[0], len(training_images)
        sources = training.source[chosen[training_indices]]
        if training.natural is not None:
            # Images of one galaxy in several bands or surveys are no copies of each other.
            sources = np.arange(number)
        if len(np.unique(sources)) == len(sources):
            # Each training galaxy has one stamp; copies are as far from it as planted ones.
            training_images = training_images + twins[0]
            sources = np.concatenate([sources, sources[twins[1]]])
        results = memorisation_results({
            sample: memorisation(
                images[sample], images["real"], training_images, sources,
                comparison.measurements.source[bright[indices["real"]]], seed=streams.seed)
            for sample in (*SAMPLES[1:], "planted")})
        return dict(results, n_training=number)

    template = """
<h2>Memorisation</h2>
{% if results.memorisation.skipped is defined %}
<p>There was no search for copies of training galaxies: {{ results.memorisation.skipped }}.</p>
{% else %}
<div class="scroll"><table>
<thead><tr><th>distance to the nearest training galaxy</th><th>n</th><th>median</th>
<th>share as near<br>as copies are</th></tr></thead>
<tbody>
{% for key, text in [
  ("generated", "generated galaxies"), ("parametric", "parametric fits"),
  ("planted", "planted copies of training galaxies, changed by 1 to 10 %"),
  ("held_out", "real galaxies that were not trained on"),
  ("other_sources", "training galaxies, to those of other sources"),
  ("copies", "training galaxies, to others of the same source (copies)")] %}
{% set distances = results.memorisation[key] %}
<tr><td>{{ text }}</td><td>{{ distances.n }}</td><td>{{ distances.median | value }}</td>
<td>{{ distances.get("share_copies") | value }}</td></tr>
{% endfor %}
</tbody></table></div>
<p class="note">Distances to {{ results.memorisation.n_training }} bright training stamps, in a
frame in which rotated, mirrored, dilated and dimmed stamps of one galaxy look alike. If a model
repeats its training galaxies, about half of its galaxies are as near as copies. If it does not,
this share is the same as for real galaxies that were not used in training. Smooth galaxies
are near to any other galaxy, as the parametric fits show. The search
{{ "finds" if results.memorisation.planted.caught else "does not find" }} the planted copies, and
{{ "finds that the model repeats" if results.memorisation.generated.caught else
"does not find that the model repeats" }} its training galaxies.</p>
{% endif %}
"""


def memorisation_results(distances: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The numbers of the section.

    Parameters:
        distances:      The results of `memorisation` for the samples ``generated``,
                        ``parametric`` and ``planted``, by their names.

    Returns:
        a dict of ``copies``, ``other_sources``, ``held_out`` and one entry for each sample, each a
        dict of ``n``, ``median`` and shares; and ``n_training``.
    """
    def number(result: Mapping[str, float], name: str) -> dict[str, float]:
        return dict(value=result[name], error=result[f"{name}_error"])

    common = distances["generated"]
    results: dict[str, Any] = dict(
        n_training=common["n_training"],
        copies=dict(n=common["n_copies"], median=number(common, "copies_median")),
        other_sources=dict(n=common["n_other_sources"],
                           median=number(common, "other_sources_median")),
        held_out=dict(n=common["n_held_out"], median=number(common, "held_out_median"),
                      share_copies=number(common, "held_out_share_copies")))
    for sample, result in distances.items():
        results[sample] = dict(
            n=result["n_generated"], median=number(result, "generated_median"),
            share_copies=number(result, "share_copies"),
            share_nearer=number(result, "share_nearer"), caught=is_caught(dict(result)))
    return results


def _canonical_images(
        observations: Sequence[Observation], stamps: Sequence[np.ndarray] | np.ndarray,
        rng: np.random.Generator) -> tuple[list[np.ndarray], list[int]]:
    """The canonical images of stamps, without those that have none, and their indices."""
    images, indices = [], []
    for index, (observation, stamp) in enumerate(zip(observations, stamps, strict=True)):
        image = canonical(observation, stamp, rng)
        if image is not None:
            images.append(image)
            indices.append(index)
    return images, indices
