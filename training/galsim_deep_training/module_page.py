"""The page of a module for people: ``README.md`` with sample pictures, rendered from the card."""

__all__ = ["write_page"]

import galsim
import numpy as np

from galsim_deep import GenerativeGalaxyModel
from galsim_deep.picture import contact_sheet, render, write_png
from galsim_deep.profiles import make_profile

COUNT = 10
PAGE = """# {name} {version}

{summary}

```python
model = galsim_deep.GenerativeGalaxyModel("hub:{name}")
```

![samples](samples.png)

Top: light profiles before PSF and pixel, for rows of the test catalogue sorted by
magnitude. Bottom: the same galaxies convolved with PSFs of the training data, with noise.

| column | unit | valid range | median of the training sample | meaning |
|---|---|---|---|---|
{columns}

* Stamps: {stamp_size} x {stamp_size} pixels of {pixel_scale} arcsec, bands {bands}; the origin is
  at the true centre; light is before PSF and pixel and falls to zero at the edge.
* Flux: the sum of a stamp; AB zero point {zero_point} for {exposure_time:g} s.
* Random input: {latent} standard normal numbers.
* Signatures: {signatures}.
* Trained on: {description} {trained_through}
* Cite: {citation}
* Licence of the training data: {licence}.
* Family {family}; recipe {recipe}, sha256 {recipe_sha256}; made with galsim-deep {code_version}.
{quality}"""


def write_page(module, dataset):
    """Write ``README.md`` and ``samples.png`` into the folder of a module.

    Parameters:
        module:     The `galsim_deep.module.Module`.
        dataset:    The `Dataset`, whose test split gives columns, PSFs and noise.
    """
    card = module.card
    (module.folder / "README.md").write_text(PAGE.format(
        **{name: getattr(card, name) for name in (
            "name", "version", "summary", "stamp_size", "pixel_scale", "family",
            "trained_through", "code_version")},
        **card.training_data.model_dump(),
        bands=", ".join(card.bands), signatures=", ".join(card.signatures),
        zero_point=card.flux.zero_point, exposure_time=card.flux.exposure_time,
        latent=card.latent.size, recipe=card.recipe.name, recipe_sha256=card.recipe.sha256,
        columns="\n".join(map(_column_row, card.columns)),
        quality="".join(f"* {name}: {value:g}\n" for name, value in card.quality.items())))
    write_png(module.folder / "samples.png", _samples(module, dataset))


def _column_row(column):
    low, high = column.valid_range
    return (f"| `{column.name}` | {column.unit} | {low:g} to {high:g} | "
            f"{column.quantiles['0.5']:g} | {column.meaning} |")


def _samples(module, dataset):
    """A contact sheet: profiles, and the same profiles observed."""
    columns = module.card.columns
    first = next((column.name for column in columns if column.unit == "mag"), columns[0].name)
    order = dataset.test_indices[np.argsort(dataset.columns[first][dataset.test_indices])]
    rows = dataset.read(order[np.linspace(0, len(order) - 1, COUNT).astype(int)])
    model = GenerativeGalaxyModel(module.folder)
    stamps = model.images(rows, seeds=np.arange(COUNT))
    observed = []
    for n, stamp in enumerate(stamps):
        galaxy = make_profile(stamp, model.pixel_scale)
        psf = make_profile(rows["psf"][n], model.pixel_scale)
        image = galsim.Convolve(galaxy, psf).drawImage(
            nx=model.stamp_size, ny=model.stamp_size, scale=model.pixel_scale, method="no_pixel")
        image.addNoise(galsim.GaussianNoise(galsim.BaseDeviate(n + 1), rows["noise_sigma"][n]))
        observed.append(image.array)
    sigma = rows["noise_sigma"]
    return contact_sheet(
        [render(stamp, 2 * s) for stamp, s in zip(stamps, sigma, strict=True)]
        + [render(image, 2 * s, floor=-s) for image, s in zip(observed, sigma, strict=True)],
        COUNT)
