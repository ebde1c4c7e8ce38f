"""`python -m serve_app.doctor`."""

import sys

from serve_app.doctor.command import main

sys.exit(main())
