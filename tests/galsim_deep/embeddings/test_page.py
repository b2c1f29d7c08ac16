"""Pages with pictures."""

import numpy as np
from astropy.table import Table

from galsim_deep.embeddings.page import Page, Strip
from galsim_deep.picture import new_figure


def test_a_page(tmp_path):
    page = Page("A < B", "The lead.")
    figure = new_figure(2, 2)
    figure.subplots().plot([1, 2])
    page.section("First", "A text.", Table(dict(name=["x"], value=[-1.23456])),
                 figures=[("A caption.", figure)],
                 strips=[Strip("Some", [np.zeros((6, 6, 3), np.uint8)] * 2, ["1", "2"])])
    text = page.write(tmp_path / "new" / "page.html").read_text()
    assert "A &lt; B" in text and "<td>−1.235</td>" in text and "A caption." in text
    assert text.count("data:image/png;base64,") == 3 and text.count('width="12"') == 2
