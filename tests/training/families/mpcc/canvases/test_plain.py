"""Images between 0 and 1, which networks see between -1 and 1."""

import tensorflow as tf


def test_the_range_of_pixels(make_canvas, random_outputs):
    canvas = make_canvas("plain")
    image = canvas.render(
        [100 * output for output in random_outputs(canvas)], None, tf.zeros([3, 0]), {})
    assert image.numpy().min() == 0.0 and image.numpy().max() == 1.0
    views, _ = canvas.view(image, None, None, {})
    assert views[0].numpy().min() == -1.0 and views[0].numpy().max() == 1.0
    assert not canvas.may_be_rotated
