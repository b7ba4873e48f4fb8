"""`python -m fluxpath` is the `fluxpath` command."""

import sys

from fluxpath.cli import main

sys.exit(main())
