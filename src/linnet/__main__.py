"""``python -m linnet``: the command line, without importing from the working directory."""

import os
import sys

if sys.path and os.path.realpath(sys.path[0] or ".") == os.path.realpath(os.getcwd()):
    del sys.path[0]

from linnet.cli import main

if __name__ == "__main__":
    main()
