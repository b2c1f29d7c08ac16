"""The report of a validation: ``report.html``, its figures, ``report.json``, ``galaxies.fits``."""

__all__ = ["card_figures", "write_report"]

import base64
import contextlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..runtime.atomic_files import replace_file
from .galaxy import SAMPLES
from .run import Validation
from .sections import SECTIONS

if TYPE_CHECKING:
    import jinja2
    from astropy.table import Table


def write_report(validation: Validation, folder: str | os.PathLike) -> Path:
    """Write the report of a validation.

    Parameters:
        validation:     The `Validation`.
        folder:         The folder to write it to; it is created if necessary.

    Returns:
        the path of ``report.html``.  Beside it are ``report.json``, all numbers of the page,
        ``galaxies.fits``, all measurements of all galaxies, and the figures as PNG files.

    The files appear together when all of them are complete.

    Raises a `galsim_deep.runtime.atomic_files.WriteError` where they cannot be written; those of an
    earlier report are then unchanged.

    Example::

        write_report(validate("hub:acs_flow_vae", "COSMOS_25.2_training_sample"), "report")
    """
    folder = Path(folder)
    path = folder / "report.html"
    # All files are written before the first one is put into its place, and the page is the last.
    with contextlib.ExitStack() as stack:
        def fresh(name: str) -> Path:
            return stack.enter_context(replace_file(folder / name))

        page = fresh(path.name)
        numbers = json.dumps(_as_json(validation.results), indent=1, allow_nan=False)
        fresh("report.json").write_text(numbers + "\n", encoding="utf-8")
        _galaxy_table(validation).write(fresh("galaxies.fits"))
        page.write_text(_page(validation, fresh), encoding="utf-8")
    return path


def card_figures(results: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a report that a module's card quotes.

    Parameters:
        results:        All numbers of a report.

    Returns:
        {name: number}, to four digits, with the error of NAME as NAME_error; numbers that are not
        known are left out.
    """
    figures: dict[str, float] = dict(
        galaxies=results["real"]["n"], sources=results["real"]["sources"])
    for section in SECTIONS:
        for name, number in section.card_figures(results):
            value, error = number, None
            if isinstance(number, dict):
                value, error = number["value"], number["error"]
            # An error is of no use without its number.
            if value is None or not math.isfinite(value):
                continue
            figures[name] = float(f"{value:.4g}")
            if error is not None and math.isfinite(error):
                figures[f"{name}_error"] = float(f"{error:.4g}")
    return figures


def _page(validation: Validation, path_of: Callable[[str], Path]) -> str:
    """The page as HTML; writes each figure to the path that its file name gives."""
    environment = _environment()
    shared = dict(results=validation.results, card=validation.card)
    summaries, pieces = [], []
    for section in validation.sections:
        variables = dict(shared, **section.page_variables())
        figures = []
        for figure in section.figures(validation.results):
            path = path_of(f"{figure.name}.png")
            figure.drawing.savefig(path, dpi=110, bbox_inches="tight")
            figures.append(dict(caption=figure.caption,
                                picture=base64.b64encode(path.read_bytes()).decode()))
        html = environment.get_template("figures.html.j2").render(figures=figures)
        pieces.append(_rendered(environment, section.template, dict(variables, figures=html)))
        summaries.append(_rendered(environment, section.summary, variables))
    return environment.get_template("report.html.j2").render(
        shared, summaries=summaries, pieces=pieces)


def _environment() -> "jinja2.Environment":
    """The Jinja environment that renders the templates of the page and its sections."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("galsim_deep.validation", "."), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=format_number, value=format_estimate)
    return environment


def _rendered(environment: "jinja2.Environment", template: str, variables: dict[str, Any]) -> str:
    """A template of a section with its variables filled in; ``figures`` is HTML already."""
    from markupsafe import Markup

    if "figures" in variables:
        variables = dict(variables, figures=Markup(variables["figures"]))
    return Markup(environment.from_string(template).render(variables))


def _galaxy_table(validation: Validation) -> "Table":
    """All measurements as an astropy Table: one row for each galaxy."""
    from astropy.table import Table

    measurements = validation.measurements
    table = Table({**measurements.columns, "source": measurements.source})
    for sample in SAMPLES:
        for name, values in measurements.values[sample].items():
            table[f"{sample}_{name}"] = values
        for name, values in measurements.flags[sample].items():
            table[f"{sample}_{name}"] = values
    for name, values in measurements.numbers.items():
        table[name] = values
    for section in validation.sections:
        for name, values in section.galaxy_columns().items():
            table[name] = values
    return table


def _as_json(value: Any) -> Any:
    """A value of plain Python types that JSON has; numbers that are not finite become None."""
    if isinstance(value, dict):
        return {str(key): _as_json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(entry) for entry in value]
    if hasattr(value, "item"):
        value = value.item() if value.ndim == 0 else value.tolist()
        return _as_json(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def format_number(value: float | None, digits: int = 3) -> str:
    """A number as the page shows it, to some significant digits; a dash if it is not known."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}g}".replace("-", "−")


def format_estimate(estimate: Mapping[str, Any] | None) -> str:
    """A number with its error as the page shows it, with as many decimals as the error warrants.

    Parameters:
        estimate:   ``value`` and ``error``; None if it is not known.
    """
    if estimate is None or estimate["value"] is None or not math.isfinite(estimate["value"]):
        return "–"
    value, error = estimate["value"], estimate["error"]
    # The error for a single galaxy is zero, but for rounding.
    if not (math.isfinite(error) and error > 1e-9 * abs(value)):
        return format_number(value)
    if max(abs(value), error) < 1e-4:
        return f"{value:.1e} ± {error:.0e}".replace("-", "−")
    decimals = min(max(0, 1 - math.floor(math.log10(error))), 8)
    return f"{value:.{decimals}f} ± {error:.{decimals}f}".replace("-", "−")
