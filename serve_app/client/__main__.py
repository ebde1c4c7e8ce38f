"""`python -m serve_app.client`: a counter on the command line."""

import sys

from serve_app.client.command import main

if __name__ == "__main__":
    sys.exit(main())
