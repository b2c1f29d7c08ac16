"""steps.sheets: pictures of a collection."""

import numpy as np
from PIL import Image
from steps.sheets import COLUMNS, PANEL, draw_panel, draw_sheets

from galsim_deep.observations.collection import Survey
from galsim_deep_training.data.collection_writer import write_collection


def test_one_file_for_each_survey_and_band(collected, tmp_path):
    survey = Survey("Made here", "none", "none", "public domain", "")
    galaxies = [collected(f"v-{k}", band="V") for k in range(COLUMNS + 2)] + [collected("i-0")]
    write_collection(tmp_path / "galaxies.h5", galaxies, {"made": survey})
    draw_sheets(tmp_path / "galaxies.h5", tmp_path / "sheets")
    sizes = {path.name: Image.open(path).size for path in (tmp_path / "sheets").iterdir()}
    assert sizes == {"made-v-0.png": (COLUMNS * PANEL, 2 * PANEL),
                     "made-f814w-0.png": (COLUMNS * PANEL, PANEL)}


def test_what_cannot_be_used_is_outlined_in_red(collected):
    usable = np.ones((24, 24), bool)
    usable[3:7, 3:7] = False
    red = [_red(draw_panel(collected("one", **change)))
           for change in (dict(), dict(usable=usable))]
    assert red[0] == 0 and red[1] > 100


def _red(panel):
    colours = np.asarray(panel).astype(int)
    return int((colours[..., 0] - colours[..., 1] > 100).sum())
