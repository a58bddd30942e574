"""The live page: a separate process that reads runs and shows them in a browser.

It opens one socket on the loopback interface, and the only file that it writes is the key of its
addresses. Training uses only ``start``.
"""

from linnet.show.view.launch import start

__all__ = ["start"]
