"""`python3 -m infra.release`: pin, release, rollback and check."""

import argparse
import os
import sys

from infra.release.check import Check, CheckFailed
from infra.release.cloud_run import CloudRun
from infra.release.http import RequestFailed
from infra.release.key import RELEASE_KEY, read_release_key
from infra.release.rollout import ReleaseFailed, Rollout

ACTIONS = {
    "pin": "name the revisions that serve, so that new ones are created without traffic",
    "release": "check the newest revisions and move the traffic to them in steps",
    "rollback": "return to the revisions of before the last release",
    "check": "upload, find and delete a photo through the public addresses",
}


def main() -> None:
    """Run the action. Exits with 1 if it failed."""
    options = _parse()
    try:
        rollout = Rollout(
            CloudRun(options.project, options.region),
            # not an option: other users of a machine see the options of commands
            key=os.environ.get("RELEASE_KEY") or ("" if options.action == "pin" else read_release_key(options.project)),
            domain=options.domain,
            watch_seconds=options.watch,
            max_error_rate=options.max_error_rate,
            say=lambda line: print(line, flush=True),
        )
        run(options.action, rollout)
    except (ReleaseFailed, CheckFailed, RequestFailed) as error:
        sys.exit(f"{options.action} failed: {error}")


def run(action: str, rollout: Rollout) -> None:
    """Run one of `ACTIONS`."""
    if action == "pin":
        rollout.pin()
    elif action == "release":
        rollout.release()
    elif action == "rollback":
        rollout.roll_back()
    else:
        addresses = rollout.public_addresses()
        print(f"{next(iter(addresses.values())).url}: {Check(addresses, rollout.key).run()}")


def required_text(text: str) -> str:
    """Return an option that must not be empty, as it is if a variable of make is missing."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty. With make, set PROJECT=… and REGION=…")
    return text.strip()


def _parse() -> argparse.Namespace:
    actions = "\n".join(f"  {name:<10} {text}" for name, text in ACTIONS.items())
    parser = argparse.ArgumentParser(
        prog="python3 -m infra.release",
        description=f"Staged releases. Actions:\n{actions}",
        epilog="RELEASE_KEY in the environment is an API key for administrators, by default that of the secret "
        f"{RELEASE_KEY}. Without one, nothing is uploaded.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("--project", required=True, type=required_text, help="id of the project")
    parser.add_argument("--region", required=True, type=required_text, help="region of the deployment")
    parser.add_argument("--domain", default="", help="domain of the load balancer, if there is one")
    parser.add_argument("--watch", type=float, default=300, help="seconds with a part of the traffic (default: 300)")
    parser.add_argument("--max-error-rate", type=float, default=0.02, help="tolerated share of errors (default: 0.02)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
