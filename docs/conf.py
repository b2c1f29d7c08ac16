"""Sphinx configuration: sphinx-build -W -b html docs docs/_build/html."""

from galsim_deep import __version__

project = "GalSim-Deep"
author = "The GalSim-Deep developers"
copyright = "2026, " + author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_static"]
root_doc = "index"

# Single backticks in docstrings are names of Python objects, as in GalSim's.
default_role = "obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

html_theme = "alabaster"
html_theme_options = {
    "description": "Deep generative galaxies as ordinary GalSim objects",
    "fixed_sidebar": True,
    "page_width": "1240px",
    "sidebar_width": "230px",
    "code_font_size": "0.8em",
}
html_sidebars = {"**": ["about.html", "navigation.html", "searchfield.html"]}
html_show_sourcelink = False
