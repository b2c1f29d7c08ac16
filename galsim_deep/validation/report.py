"""The report of a validation: ``report.html``, its figures, ``report.json``, ``galaxies.fits``."""

__all__ = ["chief_figures", "write_report"]

import base64
import json
import math
from pathlib import Path

from . import class_figures, figures
from .examined import SAMPLES
from .statistics import FLAGS, STATISTICS

MARKS = {
    "pass": "✓ pass", "closer": "~ closer", "fail": "✗ fail", "too small": "sample too small"}


def write_report(validation, folder):
    """Write the report of a validation.

    Parameters:
        validation:     A `Validation`.
        folder:         Where to; made if need be.

    Returns:
        the path of ``report.html``.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = json.dumps(_plain(validation.results), indent=1, allow_nan=False)
    (folder / "report.json").write_text(numbers + "\n", encoding="utf-8")
    _galaxies(validation).write(folder / "galaxies.fits", overwrite=True)

    def drawn(which):
        return [(caption, base64.b64encode((folder / name).read_bytes()).decode())
                for name, caption in figures.draw(validation, folder, which)]

    page = Environment(loader=PackageLoader("galsim_deep.validation", "."), autoescape=True,
                       undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters.update(number=_number, value=_value)
    path = folder / "report.html"
    path.write_text(page.get_template("report.html.j2").render(
        results=validation.results, card=validation.card, figures=drawn(figures.FIGURES),
        class_figures=drawn(class_figures.FIGURES) if validation.classes else [], flags=FLAGS,
        marks=MARKS, labels={one.name: one.label for one in STATISTICS}), encoding="utf-8")
    return path


def _galaxies(validation):
    """All measurements as an astropy Table: one row a galaxy."""
    from astropy.table import Table

    measurements, classes = validation.measurements, validation.classes
    table = Table({**measurements.columns, "source": measurements.source})
    for sample in SAMPLES:
        for name, values in measurements.values[sample].items():
            table[f"{sample}_{name}"] = values
        for name, values in measurements.flags[sample].items():
            table[f"{sample}_{name}"] = values
    for name, values in measurements.numbers.items():
        table[name] = values
    if classes is not None:
        table["generated_cluster"] = classes.drawn
        for sample, values in classes.found.items():
            table[f"{sample}_cluster_found"] = values
    return table


def chief_figures(results):
    """The few figures that a module's card quotes: {name: number}, without those not known."""
    bright = f"mag < {results['settings']['bright']:g}"
    bins = [("all", "all"), ("bright", bright)]
    bins = [pair for pair in bins if pair[1] in results["means"]]
    found = dict(galaxies=results["real"]["n"], sources=results["real"]["sources"])

    def take(name, value):
        error = None
        if isinstance(value, dict):
            value, error = value["value"], value["error"]
        # An error says nothing without its number.
        if value is not None and math.isfinite(value):
            found[name] = float(f"{value:.4g}")
            take(f"{name}_error", error)

    def over_real(rows, statistic):
        return results["means"][rows][statistic].get("generated_over_real")

    take("mean_g_over_real", over_real("all", "g"))
    for one in results["bins"][1:]:
        take(f"mean_g_over_real_{_ending(one, results['settings'])}", over_real(one["name"], "g"))
    take("mean_size_over_real", over_real("all", "size"))
    for name, rows in bins:
        take(f"usable_over_real_{name}", _over(results["usable"][rows]))
        take(f"auc_{name}", results["classifier"].get(rows, {}).get("generated"))
        take(f"auc_parametric_{name}", results["classifier"].get(rows, {}).get("parametric"))
        mean = results["distances"][rows].get("morphology_mean")
        if mean:
            take(f"morphology_distance_ratio_{name}", mean["ratio"])
            take(f"morphology_distance_floor_{name}", mean["floor"][1])
    for key in ("size", "magnitude"):
        rows = results["conditioning"].get(key, {}).get("noiseless")
        if rows:
            take(f"{key}_bias", rows[0]["median"])
            take(f"{key}_scatter", rows[0]["scatter"])
    for name, rows in bins if "reconstruction" in results else ():
        take(f"chi2_reconstructed_{name}", results["reconstruction"][rows]["reconstructed"])
        take(f"reconstruction_better_{name}", results["reconstruction"][rows]["better"])
        take(f"truth_better_{name}", results["reconstruction"][rows].get("truth_better"))
    for one in results["bins"] if "reconstruction" in results else ():
        # Of fainter galaxies it is one, whatever the model.
        if one["high"] is not None and one["high"] < results["settings"]["bright"]:
            take(f"chi2_reconstructed_{_ending(one, results['settings'])}",
                 results["reconstruction"][one["name"]]["reconstructed"])
    everything = results.get("truth", {}).get("all", {})
    take("peak_over_truth", everything.get("peak"))
    for number, power in enumerate(everything.get("power", [])):
        low, high = everything["wavelengths"][number:number + 2]
        take(f"power_over_truth_{low:.2f}_{high:.2f}_arcsec", power)
    take("edge_flux_largest", results["profiles"]["edge_flux"]["largest"])
    take("ring_flux_median", results["profiles"]["ring_flux"]["value"])
    take("ring_flux_largest", results["profiles"]["ring_flux"]["largest"])
    take("shear_response_minus_real",
         results["shear"].get("all", {}).get("generated_minus_real"))
    if "classes" in results:
        take("class_chi_square_p", results["classes"]["frequencies"]["p"])
        take("class_recovered", results["classes"].get("recovered", {}).get("all"))
        for name, one in results["classes"]["explained"].items():
            for kind in ("generated", "real", "generated_found"):
                take(f"eta2_{name}_{kind}", one.get(kind))
    return found


def _ending(one, settings):
    """What the name of a figure on a card ends in, for one of the bins."""
    low, high = one["low"], one["high"]
    if low is None:
        return "bright" if high == settings["bright"] else f"below_{high:g}"
    return f"above_{low:g}" if high is None else f"{low:g}_{high:g}"


def _over(usable):
    """Stamps fully measured, generated over real."""
    real = usable["real"]["value"]
    return usable["generated"]["value"] / real if real else None


def _plain(value):
    """Numbers that JSON knows: None for those that are not finite."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item() if value.ndim == 0 else value.tolist()
        return _plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _number(value, digits=3):
    """A number for people."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}g}".replace("-", "−")


def _value(one):
    """A number with its error: as many decimals as the error warrants."""
    if one is None or one["value"] is None or not math.isfinite(one["value"]):
        return "–"
    # Of a single galaxy the error is rounding.
    if not (math.isfinite(one["error"]) and one["error"] > 1e-9 * abs(one["value"])):
        return _number(one["value"])
    if max(abs(one["value"]), one["error"]) < 1e-4:
        return f"{one['value']:.1e} ± {one['error']:.0e}".replace("-", "−")
    decimals = min(max(0, 1 - math.floor(math.log10(one["error"]))), 8)
    return f"{one['value']:.{decimals}f} ± {one['error']:.{decimals}f}".replace("-", "−")
