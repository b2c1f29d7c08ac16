"""The base class of the sections of the report.

A section is one file in this folder, with a subclass of `Section` that says what it computes, which
figures it draws and how it looks on the page; `galsim_deep.validation.sections.SECTIONS` lists the
sections in their order on the page.
"""

__all__ = ["CardFigures", "Section", "bin_suffix", "card_bins"]

import abc
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..figures import Figure

if TYPE_CHECKING:
    from ..comparison import Comparison

CardFigures = Iterator[tuple[str, Any]]
"""Pairs (name, value), where the value is a number, an `estimates.Estimate` or None."""


class Section(abc.ABC):
    """A section of the report on one comparison: its numbers, its figures and its text.

    Parameters:
        comparison:     The `Comparison`.

    Attributes:
        comparison:     The `Comparison`.
        name:           A short name, by which `Validation.section` finds it.
        template:       A Jinja template for the text of the section on the page.  It can use the
                        variables ``results`` (all numbers of the report), ``card``, ``figures``
                        (the figures of this section as HTML) and those of `page_variables`, and
                        the filters ``number`` and ``value`` (`galsim_deep.validation.report`).
        summary:        A Jinja template with the same variables and filters for a sentence at the
                        beginning of the page; empty for none.

    Example, for a ``comparison`` of twenty galaxies:

        >>> class Brightest(Section):
        ...     name = "brightest"
        ...     template = "<h2>Brightest</h2><p>{{ results.brightest | number }} mag</p>"
        ...
        ...     def compute(self):
        ...         return dict(brightest=float(self.comparison.magnitudes.min()))
        >>> Brightest(comparison).compute()
        {'brightest': 22.0}
    """

    name: ClassVar[str]
    template: ClassVar[str] = ""
    summary: ClassVar[str] = ""

    def __init__(self, comparison: "Comparison") -> None:
        self.comparison = comparison

    @classmethod
    def applies_to(cls, comparison: "Comparison") -> bool:
        """Whether the report on a comparison has this section.  [default: yes]"""
        return True

    def compute(self) -> dict[str, Any]:
        """The numbers of the section.

        Returns:
            entries of report.json by their keys, which no other section has: dicts, lists, text and
            numbers.  [default: none]
        """
        return {}

    def figures(self, results: Mapping[str, Any]) -> Iterator[Figure]:
        """Draw the figures of the section, in the order of the page.

        Parameters:
            results:    All numbers of the report.

        Yields:
            `Figure` objects; nothing if there is nothing to show.  [default: none]
        """
        yield from ()

    def page_variables(self) -> dict[str, Any]:
        """More variables for the template, by name.  [default: none]"""
        return {}

    def galaxy_columns(self) -> dict[str, np.ndarray]:
        """Columns of ``galaxies.fits`` that the section adds, {name: [N]}.  [default: none]"""
        return {}

    @classmethod
    def card_figures(cls, results: Mapping[str, Any]) -> CardFigures:
        """The numbers that the card of the module quotes.

        Parameters:
            results:    All numbers of a report.  It may lack the entries of this section.

        Yields:
            (name, number), where a number may be an `estimates.Estimate`, or None if it is not
            known.  [default: none]
        """
        yield from ()


def card_bins(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The bins that a card quotes, as pairs of suffix and name: ``all`` and ``bright``."""
    bright = f"mag < {results['settings']['bright']:g}"
    names = [magnitude_bin["name"] for magnitude_bin in results["bins"]]
    return [(suffix, name) for suffix, name in (("all", "all"), ("bright", bright))
            if name in names]


def bin_suffix(magnitude_bin: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """The suffix of a number on the card, for one of the magnitude bins of a report."""
    low, high = magnitude_bin["low"], magnitude_bin["high"]
    if low is None:
        return "bright" if high == results["settings"]["bright"] else f"below_{high:g}"
    return f"above_{low:g}" if high is None else f"{low:g}_{high:g}"
