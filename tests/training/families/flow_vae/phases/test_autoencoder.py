"""The phases that fit the autoencoder: ``structure`` goes on where ``autoencoder`` ends."""

import galsim
import pytest
import tensorflow as tf

from galsim_deep_training.families import choose_family


def the_phase(family, name):
    return next(phase for phase in family.phases if phase.name == name)


@pytest.mark.long
def test_structure_forgives_less(tiny):
    """Deep stamps of bright galaxies count for more in it, faint ones as before."""
    family, batch = tiny
    autoencoder, structure = the_phase(family, "autoencoder"), the_phase(family, "structure")
    models = tf.stack([tf.ones([32, 32]), 1e3 * tf.ones([32, 32])])
    seen = dict(noise_sigma=tf.constant([1e2, 1.0]), flux_radius=tf.constant([4.0, 4.0]))
    before, after = (phase._weight(models, seen).numpy() for phase in (autoencoder, structure))
    assert before[0] > 0.99 and after[0] > 0.99
    errors = [family.fit[name].model_error for name in ("autoencoder", "structure")]
    assert after[1] / before[1] == pytest.approx((errors[0] / errors[1])**2, rel=0.01)


@pytest.mark.long
def test_structure_goes_on(tiny, monkeypatch):
    """Other batches, and no aids of the start; but information is cheap at first."""
    family, batch = tiny
    autoencoder, structure = the_phase(family, "autoencoder"), the_phase(family, "structure")
    seen, infer = [], family.autoencoder.infer

    def noted(batch, normal, progress):
        seen.append(float(progress))
        return infer(batch, normal, progress)

    monkeypatch.setattr(family.autoencoder, "infer", noted)
    losses = {phase.name: [float(phase.loss(batch, tf.constant(number))[0]) for number in (0, 11)]
              for phase in (autoencoder, structure)}
    assert seen == pytest.approx([0, 11 / 12, 1, 1])
    assert losses["structure"][0] < losses["structure"][1]

    class Rows:
        @staticmethod
        def batches(size, seed, start):
            return seed

    assert autoencoder.batches(Rows, 0) != structure.batches(Rows, 0)


@pytest.mark.parametrize("phase, error", [("autoencoder", 0.02), ("structure", 0.05),
                                          ("autoencoder", 0)])
def test_structure_that_does_not_tolerate_less(phase, error, make_recipe):
    with pytest.raises(galsim.GalSimConfigError, match="fit.structure.model_error"):
        choose_family(make_recipe(lambda c: c["fit"][phase].update(model_error=error)))
