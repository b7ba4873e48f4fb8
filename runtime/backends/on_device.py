"""What the backends with lanes on a device share."""

from __future__ import annotations

from fluxpath.errors import FluxpathError
from fluxpath.runtime.backends.base import GradientSession
from fluxpath.runtime.device.base import Device
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.lanes import Companions, Lanes
from fluxpath.runtime.lanes.lanes import NO_COMPANIONS


class DeviceSession(GradientSession):
    """A gradient graph that runs in place on `device`."""

    device: Device

    @property
    def place(self) -> str:
        """The device and its number."""
        return f"{self.device.kind}:{self.device.number}"

    def make_lanes(
        self, slots: int, shape: tuple[int, ...], companions: Companions = NO_COMPANIONS
    ) -> DeviceLanes:
        """Allocate arrays for `slots` slots on the device."""
        layout = self._layout(shape, companions)
        return DeviceLanes(self.device, slots, **layout, gradient=self.manifest.gradient)

    def used(self) -> int:
        """Bytes of the device's memory in use, by any process."""
        return self.device.used()

    def _own(self, lanes: Lanes) -> DeviceLanes:
        """`lanes`, typed as device lanes; FluxpathError unless they are on the session's device."""
        if not isinstance(lanes, DeviceLanes) or lanes.device is not self.device:
            raise FluxpathError("the lanes are not on the session's device: use DeviceLanes on it")
        return lanes
