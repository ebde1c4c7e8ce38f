"""`python -m serve_app.importer SOURCE [--dry-run]`."""

import sys

from serve_app.importer.command import main

sys.exit(main())
