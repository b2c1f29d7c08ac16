"""The signatures of the module format, and the comparison of a graph with its card.

The table of signatures in ``docs/module_format.md`` is written here for programs.
"""

__all__ = ["faults_of_graph"]

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from .card import MAX_FAULTS, Card
from .runners.base import Runner, Shape
from .stamp_choice import LATENTS, drawing_signatures


@dataclasses.dataclass(frozen=True)
class _Format:
    """Inputs and outputs of a signature besides the columns.

    Shapes are written with one letter for each dimension: N galaxies, S pixels on a side of a
    stamp, P of a PSF image, B bands, L random numbers, K latents, V numbers that describe a galaxy
    to be drawn, C classes, D numbers in an embedding, A
    answers.
    """

    inputs: dict[str, str]
    outputs: dict[str, str]
    inputs_with_classes: dict[str, str] = dataclasses.field(default_factory=dict)
    """Further inputs, if the module has classes."""
    outputs_with_classes: dict[str, str] = dataclasses.field(default_factory=dict)
    optional_inputs: dict[str, str] = dataclasses.field(default_factory=dict)
    """Inputs that may be missing."""
    optional_outputs: dict[str, str] = dataclasses.field(default_factory=dict)
    """Outputs that may be missing."""
    all_columns: bool = True
    """Whether the signature of a generator takes all columns, and not only those it needs."""


_IMAGE = dict(image="NSSB")
_PSF_AND_NOISE = dict(psf="NPPB", noise_sigma="NB")
_LATENT = dict(latent="NK")
_NORMAL = dict(random_normal="NL")
_CLASS = dict(galaxy_class="N")
_LOG_PROB = dict(log_prob="N")

_FORMATS = {
    "sample": _Format(_NORMAL, _IMAGE, _CLASS, _CLASS, optional_outputs=dict(pixel_scale="N")),
    "decode": _Format(_LATENT, _IMAGE, _CLASS, optional_inputs=dict(position_angle="N")),
    "encode": _Format(_IMAGE | _PSF_AND_NOISE, dict(mean="NK", scale="NK"),
                      outputs_with_classes=dict(log_class_probability="NC")),
    "log_prob": _Format(_LATENT, _LOG_PROB),
    "prior": _Format(_CLASS, dict(log_class_probability="N")),
    "embed": _Format(_IMAGE, dict(embedding="ND"), optional_inputs=_PSF_AND_NOISE,
                     optional_outputs=dict(position_angle="N", vote_fractions="NA"),
                     all_columns=False),
}
# Those of a compact graph that chooses stamps: `LATENTS`, and one for each size.
_DESCRIBING = _Format(_NORMAL, dict(extent="N", latent="NV"), _CLASS, _CLASS)
_DRAWING = _Format(dict(latent="NV", pixel_scale="N"), _IMAGE, all_columns=False)
# A density is one of latent vectors or one of stamps; it draws what its log_prob takes.
_FORMATS_OF_LATENTS = _FORMATS | {"sample": _Format(_NORMAL, _LATENT, _CLASS, _CLASS)}
_FORMATS_OF_STAMPS = _FORMATS | {
    "sample": _Format(_NORMAL, _IMAGE, _CLASS, _CLASS),
    "log_prob": _Format(_IMAGE, _LOG_PROB, optional_inputs=_PSF_AND_NOISE),
}


def faults_of_graph(card: Card, runner: Runner) -> list[str]:
    """List the differences between a graph and its card.

    Signatures of other names than those of the module format must be in the graph; what they take
    and give is not compared.  A signature is run for one row where its graph leaves shapes open,
    and ``sample`` in any case.

    Parameters:
        card:       The card.
        runner:     What runs the graph.  All signatures on the card are compared that it can run:
                    those of the SavedModel, or ``sample`` of the compact graph.

    Returns:
        the first faults, as clauses; none if they agree.

    Raises a `galsim.GalSimError` where the graph cannot be loaded or run.

    >>> from galsim_deep.modules import Module
    >>> from galsim_deep.modules.resolve import resolve
    >>> module = Module(resolve("hub:first_mpcc"))
    >>> faults_of_graph(module.card, module.compact)
    []
    >>> stamp = module.card.stamp.model_copy(update=dict(sizes=(64,)))
    >>> faults_of_graph(module.card.model_copy(update=dict(stamp=stamp)), module.compact)
    ['the output image of sample is [N, 96, 96, 1] instead of [N, 64, 64, 1]']
    """
    present = runner.signatures()
    drawing = drawing_signatures(card.stamp.sizes) if card.chooses_stamps else {}
    listed = [*card.signatures] if runner.has_all_signatures else [*(drawing or ["sample"])]
    faults = []
    if len(card.stamp.sizes) > 1 and not card.chooses_stamps:
        faults.append("the card has several stamp sizes, but no stamp.trained_size")
    for name in listed:
        if name not in present:
            faults.append(f"the graph has no signature {name}, only {', '.join(sorted(present))}")
    # Sizes that the card does not state have to be the same in all signatures.
    sizes: dict[str, int | None] = dict(
        N=None, S=card.trained_size, B=len(card.bands), C=len(card.classes),
        **(dict(L=card.latent.size) if card.latent else {}))
    formats = _formats(card, runner) | {
        name: _DRAWING if size else _DESCRIBING for name, size in drawing.items()}
    for name in listed:
        if name in present and name in formats:
            # The sizes of other letters are learned.
            sizes["S"] = drawing.get(name) or card.trained_size
            faults += _faults_of_signature(card, runner, name, formats[name], sizes)
    return faults[:MAX_FAULTS]


def _faults_of_signature(card: Card, runner: Runner, name: str, form: _Format,
                         sizes: dict[str, int | None]) -> list[str]:
    """The faults of one signature; adds the sizes that it shows to ``sizes``."""
    inputs, outputs = runner.signature_inputs(name), runner.signature_outputs(name)
    wanted_inputs = form.inputs | (form.inputs_with_classes if card.classes else {})
    wanted_outputs = form.outputs | (form.outputs_with_classes if card.classes else {})
    wanted_outputs |= {key: letters for key, letters in form.optional_outputs.items()
                       if key in outputs}
    columns = {column.name: "N" for column in card.columns}
    takes_all = card.kind == "generator" and form.all_columns
    required = columns | wanted_inputs if takes_all else wanted_inputs
    known = columns | wanted_inputs | form.optional_inputs
    faults = [f"{name} has no input {key} {_text(_shape(letters, sizes), letters)}"
              for key, letters in required.items() if key not in inputs]
    faults += [f"{name} has the input {key}, which neither the card nor the module format has"
               for key in inputs if key not in known]
    faults += [f"{name} has no output {key} {_text(_shape(letters, sizes), letters)}"
               for key, letters in wanted_outputs.items() if key not in outputs]
    faults += _faults_of_shapes(f"of {name}", "input", inputs, known, sizes)
    faults += _faults_of_shapes(f"of {name}", "output", outputs, wanted_outputs, sizes)
    open_outputs = any(shape is None or None in shape[1:] for shape in outputs.values())
    if not faults and (name == "sample" or open_outputs):
        faults += _faults_of_run(card, runner, name, {key: known[key] for key in inputs},
                                 wanted_outputs, sizes)
    return faults


def _formats(card: Card, runner: Runner) -> dict[str, _Format]:
    """The formats of the signatures of a module, by name."""
    if card.kind != "density":
        return _FORMATS
    takes_stamps = ("log_prob" in runner.signatures()
                    and "image" in runner.signature_inputs("log_prob"))
    return _FORMATS_OF_STAMPS if takes_stamps else _FORMATS_OF_LATENTS


def _faults_of_run(card: Card, runner: Runner, name: str, inputs: Mapping[str, str],
                   outputs: Mapping[str, str], sizes: dict[str, int | None]) -> list[str]:
    """The faults of what a signature gives for one row; none if it is not known what it takes."""
    if not {*"".join(inputs.values())} <= sizes.keys():
        return []
    # The galaxy_class of sampled galaxies is drawn; other signatures take the number of a class.
    number = np.array([-1 if name in ("sample", LATENTS) else 0], np.int32)
    made = runner.call(name, {
        key: number if key == "galaxy_class" and card.classes
        else np.ones([1 if letter == "N" else sizes[letter] or 0 for letter in letters], np.float32)
        for key, letters in inputs.items()})
    shapes: dict[str, Shape | None] = {
        key: (None if value.shape[:1] == (1,) else value.shape[0], *value.shape[1:])
        if value.ndim else () for key, value in made.items()}
    return [*_faults_of_shapes(f"of {name}", "output", shapes, outputs, sizes)]


def _faults_of_shapes(of: str, what: str, shapes: Mapping[str, Shape | None],
                      wanted: Mapping[str, str], sizes: dict[str, int | None]) -> Iterator[str]:
    for key, letters in wanted.items():
        if key not in shapes:
            continue
        shape = shapes[key]
        if not _fits(shape, letters, sizes):
            yield (f"the {what} {key} {of} is {_text(shape)} instead of "
                   f"{_text(_shape(letters, sizes), letters)}")


def _fits(shape: Shape | None, letters: str, sizes: dict[str, int | None]) -> bool:
    """Whether a shape, which may be open in part, can be the wanted one; learns unknown sizes."""
    if shape is None:
        return True
    if len(shape) != len(letters):
        return False
    for size, letter in zip(shape, letters, strict=True):
        if size is not None and sizes.setdefault(letter, size) != size:
            return False
    return True


def _shape(letters: str, sizes: Mapping[str, int | None]) -> Shape:
    return tuple(sizes.get(letter) for letter in letters)


def _text(shape: Shape | None, letters: str | None = None) -> str:
    """A shape as in ``docs/module_format.md``: [N, 32, 32, 1]; ? where its size is open."""
    if shape is None:
        return "[...]"
    names = letters or "N" + "?" * len(shape)
    return "[" + ", ".join(name if size is None else str(size)
                           for name, size in zip(names, shape, strict=False)) + "]"
