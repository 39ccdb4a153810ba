"""The plan of a configuration's network, for our networks and for torchvision's backbones."""

from __future__ import annotations

from ecoml.training.images.network.plan import Plan, Shape, plan
from ecoml.training.images.settings import NO_BACKBONE, Settings


def form_of(settings: Settings, shape: Shape, classes: int) -> Plan:
    """The plan of the network that `settings` describe for images of `shape`; no network is built."""
    if settings.backbone == NO_BACKBONE:
        return plan(settings, shape, classes)
    from ecoml.training.images.network.pretrained import pretrained_plan  # torchvision takes a second to import

    return pretrained_plan(settings, shape, classes)
