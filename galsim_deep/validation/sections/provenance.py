"""How the report was made."""

__all__ = ["Provenance"]

from .base import Section


class Provenance(Section):
    """Module, real galaxies, seed and software.

    All of this is taken from entries that every report has; the section computes nothing.

    >>> Provenance(comparison).compute(), "{{ results.settings.seed }}" in Provenance.template
    ({}, True)
    """

    name = "provenance"
    template = """
<h2>How this report was made</h2>
<dl>
<dt>module</dt><dd>{{ results.module.name }} {{ results.module.version }}, family
{{ results.module.family }}, sha256 of saved_model.pb {{ results.module.saved_model_sha256 }}</dd>
<dt>real galaxies</dt><dd>{{ results.real.name }}; stamps of
{{ results.real.stamp_size | join(" to ") }} pixels of
{{ results.real.pixel_scale | join(" to ") }}″</dd>
<dt>seed</dt><dd>{{ results.settings.seed }}</dd>
<dt>software</dt><dd>galsim-deep {{ results.galsim_deep }}, GalSim {{ results.galsim }}</dd>
</dl>
<p class="note">All numbers are in report.json. The documentation of galsim-deep describes them
under “Validation”.</p>
"""
