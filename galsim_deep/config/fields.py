"""The fields of ``type: GenerativeModelGalaxy`` in GalSim config files: names, types and values."""

__all__ = ["RESERVED_FIELDS", "GalaxyFields"]

from typing import TYPE_CHECKING, Any

from galsim import GalSimConfigError, GalSimConfigValueError
from galsim.config import GetAllParams, ParseValue
from galsim.config.value import valid_value_types

from ..table import class_number, in_ranges

if TYPE_CHECKING:
    from ..modules.card import Card  # imports pydantic, which takes a while

OPTIONS: dict[str, type] = {
    "half_light_radius": float, "id": int, "x_interpolant": str, "k_interpolant": str,
    "pad_factor": float, "strict": bool}
"""Fields besides the columns and ``galaxy_class``, with their types."""

RESERVED_FIELDS = frozenset((
    # GalSim's, for any object of a configuration.
    "type", "current", "dilate", "dilation", "ellip", "flux", "gsparams", "half_light_radius",
    "index_key", "lens", "magnification", "magnify", "re_from_res", "repeat", "resolution",
    "rng_index_key", "rng_num", "rotate", "rotation", "scale_flux", "sed", "shear", "shift",
    "signal_to_noise", "skip",
    # Those of this object type.
    "galaxy_class", "num", *OPTIONS))
"""Names that a column of a module should not have, since a field of this name means something else.

A column ``flux``, for instance, would condition the galaxy, and GalSim would scale it to that flux
as well.  A column ``redshift`` is allowed: GalSim takes it for the redshift of the galaxy too.
"""


class GalaxyFields:
    """The fields of one configuration of this object type.

    Parameters:
        config:     The configuration of the object, a dict.
        card:       The card of the module.

    Attributes:
        types:      The fields of the configuration that determine the galaxy: {name: type}.
                    The type of ``galaxy_class`` may be None, for any.

    Raises:
        GalSimConfigError:  The module has a column of a reserved name, or has no classes while
                            ``galaxy_class`` is given.

    Example:

        >>> card = galsim_deep.GenerativeGalaxyModel("hub:acs_flow_vae").card
        >>> config = dict(type="GenerativeModelGalaxy", mag_auto=22, hlr=0.2, zphot=0.5, id=1)
        >>> fields = GalaxyFields(config, card)
        >>> sorted(fields.read(base=dict(obj_num=0), ignore=[]).items())
        [('hlr', 0.2), ('id', 1), ('mag_auto', 22.0), ('zphot', 0.5)]
    """

    def __init__(self, config: dict[str, Any], card: "Card") -> None:
        self._config, self._card = config, card
        self._classes = tuple(galaxy_class.name for galaxy_class in card.classes)
        reserved = [column.name for column in card.columns if column.name in RESERVED_FIELDS]
        if reserved:
            raise GalSimConfigError(
                f"The module {card.name} has a column {', '.join(reserved)}. A field of this name "
                "means something else in a configuration; such a module can be sampled in Python "
                "only.")
        self._required = {column.name: float for column in card.columns if not column.optional}
        self._optional = dict(
            OPTIONS, **{column.name: float for column in card.columns if column.optional})
        self.types: dict[str, type | None] = {
            name: kind for name, kind in {**self._required, **self._optional}.items()
            if name in config}
        if "galaxy_class" in config:
            if not self._classes:
                raise GalSimConfigError(f"The module {card.name} has no classes; remove the "
                                        "field galaxy_class.")
            self.types["galaxy_class"] = _type_of_class(config["galaxy_class"])

    def read(self, base: dict[str, Any], ignore: list[str]) -> dict[str, Any]:
        """Read the values for the current object.

        Parameters:
            base:       The whole configuration.
            ignore:     Fields that GalSim reads itself.

        Returns:
            a dict {name: value} of the fields in `types`.

        Raises:
            GalSimConfigError:  A required column is missing, a field is unknown, a value cannot be
                                read, or there is no such class.
        """
        # flux is left to GalSim, which applies it to any object type.
        row, _ = GetAllParams(self._config, base, req=self._required, opt=self._optional,
                              ignore=[*ignore, "flux", "num", "galaxy_class"])
        if "galaxy_class" in self.types:
            row["galaxy_class"] = self._read_class(base)
        return row

    def _read_class(self, base: dict[str, Any]) -> Any:
        value = self._config["galaxy_class"]
        if value != "":  # ParseValue looks at the first letter of text
            value, _ = ParseValue(self._config, "galaxy_class", base, self.types["galaxy_class"])
        if class_number(value, self._classes) is None:
            raise GalSimConfigValueError(
                f"The field galaxy_class must be a class of {self._card.name}: its number, from 0 "
                f"to {len(self._classes) - 1}, or its name, or -1 for any.", value, self._classes)
        return value

    def is_valid(self, row: dict[str, Any]) -> bool:
        """Whether a galaxy with these values causes neither a warning nor an error.

        Parameters:
            row:        Values as `read` returns them; required columns may be missing.
        """
        return in_ranges(row, self._card.columns) and (
            "galaxy_class" not in row
            or class_number(row["galaxy_class"], self._classes) is not None)


def _type_of_class(value: Any) -> type | None:
    """The type that GalSim should read ``galaxy_class`` as.

    A class may be a number or a name.  GalSim has no type for values that can be either.
    Text can hold both; other types are for values that GalSim generates as numbers only, and None
    is for single numbers.
    """
    items = value
    if isinstance(value, dict) and value.get("type") == "List":
        items = value.get("items")
    if isinstance(items, list) and "" in items:
        # GalSim looks at the first letter of each item, which ends in an IndexError.
        raise GalSimConfigError(f"The field galaxy_class, {value}, lists empty text; write '-1' "
                                "for galaxies of any class.")
    if isinstance(value, dict):
        _, types = valid_value_types.get(value.get("type"), (None, ()))
        return next((kind for kind in (str, int, float) if kind in types), str)
    return str if isinstance(value, (str, list)) else None
