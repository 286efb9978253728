"""Energy of operations on devices, as others published it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..arguments import flag, is_word, nearest
from ..errors import InputError, is_number

HOROWITZ = (
    "M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014, "
    "doi:10.1109/ISSCC.2014.6757323: float32 add 0.9 pJ, multiply 3.7 pJ"
)
DEGNAN = (
    "B. Degnan, B. Marr, J. Hasler, Assessing trends in performance per watt for signal processing "
    "applications, IEEE TVLSI 24(1), 58-66, ieeexplore.ieee.org/abstract/document/7054508; as in "
    "keras-spiking"
)
DAVIES = (
    "M. Davies et al., Loihi: a neuromorphic manycore processor with on-chip learning, IEEE Micro "
    "38(1), 2018, doi:10.1109/MM.2018.112130359; as in keras-spiking"
)
HOEPPNER = (
    "S. Hoeppner et al., Dynamic power management for neuromorphic many-core systems, IEEE TCAS-I "
    "66(8), 2019, arXiv:1903.08941; as in keras-spiking"
)


@dataclass(frozen=True, slots=True)
class Device:
    """What operations cost on a device, in joules.

    Args:
        name: What it is called in tables.
        energy_per_synop: For one synaptic operation: of a spike, the addition of one weight. For a
            device that runs the Keras model, one multiply-accumulate (MAC).
        energy_per_neuron: For one update of one neuron. For a device that runs the Keras model, one
            activation.
        spiking: Whether it runs the spiking network and only works where there are spikes. Else it
            runs the Keras model.
        source: Where the numbers come from.
        energy_per_mac: For one MAC of a layer that reads the input. By default
            ``energy_per_synop``.

    Raises:
        InputError: A name is empty, or an energy is no finite number >= 0.

    Example:
        >>> mine = Device("mine", 2e-12, 5e-12, source="measured")
        >>> mine.spiking, mine.energy_per_mac
        (True, None)
    """

    name: str
    energy_per_synop: float
    energy_per_neuron: float
    spiking: bool = True
    source: str = ""
    energy_per_mac: float | None = None

    def __post_init__(self) -> None:
        for field in ("name", "source"):
            if not isinstance(getattr(self, field), str):
                raise InputError(
                    f"{field} must be a string. Received: {field}={getattr(self, field)!r}"
                )
        if not self.name.strip():
            raise InputError(f"name must not be empty. Received: name={self.name!r}")
        flag("spiking", self.spiking)
        for field in ("energy_per_synop", "energy_per_neuron", "energy_per_mac"):
            value = getattr(self, field)
            if value is None and field == "energy_per_mac":
                continue
            if not is_number(value) or not 0 <= value < 1:
                raise InputError(
                    f"{field} must be an energy in joules >= 0 and < 1, such as 0.9e-12 for 0.9 "
                    f"pJ. Received: {field}={value!r}"
                )

    def energy(self, *, operations: float, macs: float, neurons: float) -> float:
        """The energy in joules of some work.

        Args:
            operations: Synaptic operations.
            macs: MACs.
            neurons: Updates of neurons.
        """
        per_mac = self.energy_per_synop if self.energy_per_mac is None else self.energy_per_mac
        return float(
            operations * self.energy_per_synop + macs * per_mac + neurons * self.energy_per_neuron
        )


DEVICES = (
    # One update of a neuron is taken as one MAC, as in keras-spiking.
    Device("45nm_spikes", 0.9e-12, 4.6e-12, True, HOROWITZ, 4.6e-12),
    Device("45nm_keras", 4.6e-12, 4.6e-12, False, HOROWITZ),
    Device("cpu", 8.6e-9, 8.6e-9, False, DEGNAN),
    Device("gpu", 0.3e-9, 0.3e-9, False, DEGNAN),
    Device("arm", 0.9e-9, 0.9e-9, False, DEGNAN),
    Device("loihi", (23.6 + 3.5) * 1e-12, 81e-12, True, DAVIES),
    Device("spinnaker", 13.3e-9, 26e-9, True, HOEPPNER),
    Device("spinnaker2", 450e-12, 2.19e-9, True, HOEPPNER),
)
"""The devices that are known."""


def check_devices(devices: Any) -> tuple[Device, ...]:
    """The devices that a user asks for.

    Args:
        devices: None for all that are known, a :class:`Device`, the name of a known one, or a list
            of these.

    Raises:
        InputError: It is none of these, or two have the same name.
    """
    if devices is None:
        return DEVICES
    known = {each.name: each for each in DEVICES}
    given = [devices] if isinstance(devices, Device | str) else devices
    if not isinstance(given, Iterable):
        raise InputError(
            f"devices must be a list of kconvert.Device and of names from {list(known)}. "
            f"Received: {devices!r:.200}"
        )
    found = []
    for each in given:
        if not isinstance(each, Device) and not is_word(each, known):
            raise InputError(
                f"devices must be a list of kconvert.Device and of names from {list(known)}. "
                f"Received: {each!r:.200}{nearest(each, known)}"
            )
        found.append(each if isinstance(each, Device) else known[each])
    names = [each.name for each in found]
    if len(set(names)) < len(names):
        raise InputError(f"devices must have different names. Received: {names}")
    return tuple(found)
