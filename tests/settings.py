"""The settings of jobrec on a temporary data folder, so that no test uses a real database."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from jobrec_site.addresses import embedded_addresses

DATA = Path(tempfile.mkdtemp(prefix="jobrec-test-"))
atexit.register(shutil.rmtree, DATA, ignore_errors=True)

# All addresses are set, so that none comes from the environment or from .env.
os.environ |= embedded_addresses(DATA)
os.environ["DEBUG"] = "0"
os.environ["CORS_ALLOWED_ORIGINS"] = "https://jobs.example.org"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from jobrec_site.settings import *  # noqa: E402, F403  the environment must be set first
