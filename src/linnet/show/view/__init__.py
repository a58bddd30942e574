"""The live page: a process of its own that reads runs and shows them in a browser.

It opens one socket on the loopback and writes nothing but the key of its addresses. The trainer
knows it only by ``start``.
"""

from linnet.show.view.launch import start

__all__ = ["start"]
