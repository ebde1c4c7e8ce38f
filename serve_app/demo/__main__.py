"""`python -m serve_app.demo`: the demonstration on the command line."""

import sys

from serve_app.demo.command import main

if __name__ == "__main__":
    sys.exit(main())
