"""``python -m mmdark.cli``: runs ``mmdark`` if its script is not on the path."""

import sys

from mmdark.cli import main

if __name__ == '__main__':
    sys.exit(main())
