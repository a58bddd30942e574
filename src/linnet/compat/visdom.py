"""``from linnet.compat.visdom import Visdom``."""

from linnet.integrations.compat.visdom import Visdom

__all__ = ["Visdom"]
