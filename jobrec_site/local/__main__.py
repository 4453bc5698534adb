"""`python -m jobrec_site.local run | demo`, which `make run` and `make demo` call."""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError

from jobrec_site.addresses import embedded_addresses
from jobrec_site.local.embedded import EmbeddedServerError
from jobrec_site.local.preflight import PreflightError, free_ports
from jobrec_site.local.programs import MAIN_JOB, Ports
from jobrec_site.local.supervision import ProgramError

MODELS = {"en": "", "ko": "multilingual"}  # by language of the sample; empty: the default


def main() -> int:
    """Run the command line. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m jobrec_site.local", description=__doc__)
    parser.add_argument("command", choices=["run", "demo"])
    parser.add_argument(
        "--postings", type=int, default=2_000, help="sample postings to load into an empty database"
    )
    parser.add_argument(
        "--candidates", type=int, default=500, help="sample candidates to load into an empty database"
    )
    parser.add_argument(
        "--language",
        choices=tuple(MODELS),
        default="en",
        help="of the sample; ko also chooses the multilingual model, unless EMBEDDING_MODEL names one",
    )
    arguments = parser.parse_args()
    if model := MODELS[arguments.language]:
        os.environ.setdefault("EMBEDDING_MODEL", model)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobrec_site.settings")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
        signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))  # the terminal closed
    try:
        if arguments.command == "run":
            _run(arguments)
        else:
            _demo(arguments)
    except (PreflightError, EmbeddedServerError, ProgramError, CommandError, ImproperlyConfigured) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped", flush=True)
        return 130 if arguments.command == "demo" else 0
    return 0


def _run(arguments: argparse.Namespace) -> None:
    from django.conf import settings

    from jobrec_site.local.main_job import LocalJobrec

    ports = Ports(
        web=settings.WEB_PORT,
        embedding=int(settings.EMBEDDING_BIND.rsplit(":", 1)[1]),
        invalidation=int(settings.INVALIDATION_BIND.rsplit(":", 1)[1]),
        flower=settings.FLOWER_PORT,
    )
    with LocalJobrec(settings.DATA_DIR, ports) as jobrec:
        jobrec.main_job(
            postings=arguments.postings,
            candidates=arguments.candidates,
            language=arguments.language,
            tolerate_failures=True,
        )
        jobrec.print_addresses(language=arguments.language)
        jobrec.stay_up()


def _demo(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="jobrec-demo-") as scratch:
        ports = free_ports()
        data = Path(scratch).resolve()
        os.environ |= embedded_addresses(data) | {  # the demo never uses a real database
            "EMBEDDING_ADDRESS": f"127.0.0.1:{ports.embedding}",
            "EMBEDDING_BIND": f"127.0.0.1:{ports.embedding}",
            "INVALIDATION_ADDRESSES": f"127.0.0.1:{ports.invalidation}",
            "INVALIDATION_BIND": f"127.0.0.1:{ports.invalidation}",
            "WEB_PORT": str(ports.web),
        }
        from jobrec_site.local.main_job import LocalJobrec

        with LocalJobrec(data, ports, names=MAIN_JOB) as jobrec:
            jobrec.main_job(
                postings=arguments.postings, candidates=arguments.candidates, language=arguments.language
            )


if __name__ == "__main__":
    sys.exit(main())
