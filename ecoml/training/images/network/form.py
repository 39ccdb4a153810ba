"""What a configuration's network will be, whichever family it is of."""

from __future__ import annotations

from ecoml.training.images.network.plan import Plan, Shape, plan
from ecoml.training.images.settings import NO_BACKBONE, Settings


def form_of(settings: Settings, shape: Shape, classes: int) -> Plan:
    """The network that `settings` describe for images of `shape`, before it exists."""
    if settings.backbone == NO_BACKBONE:
        return plan(settings, shape, classes)
    from ecoml.training.images.network.pretrained import pretrained_plan  # torchvision takes a second to import

    return pretrained_plan(settings, shape, classes)
