# SPDX-License-Identifier: Apache-2.0
"""A run's masks in the browser: a server for this machine alone, until Ctrl-C, or until the page has been closed for a
while.
"""

from __future__ import annotations

import argparse
import webbrowser
from collections import Counter

from pranet_monai.errors import UsageError
from pranet_monai.review import ReviewedRun, ReviewServer

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Serves, and prints at the end how many cases were reviewed."""
    reviewed = ReviewedRun(args.results, args.images)
    try:
        with _server(reviewed, args.port or 0, 60 * args.idle_minutes) as server:
            print(f"{len(reviewed.listing['cases'])} cases, open in a browser of this machine: {server.address}")
            print(f"ends by Ctrl-C, or {args.idle_minutes} minutes after the page was closed", flush=True)
            if args.open:
                webbrowser.open(server.address)
            server.serve()
    except KeyboardInterrupt:
        print()  # behind the ^C that the terminal shows
    finally:
        reviewed.close()
    print(_outcome(reviewed))
    return 0


def _server(reviewed: ReviewedRun, port: int, idle_seconds: float) -> ReviewServer:
    try:
        return ReviewServer(reviewed, port, idle_seconds)
    except (OSError, OverflowError) as error:
        raise UsageError(f"--port {port}: can't be used ({error}); fix: leave it out") from error


def _outcome(reviewed: ReviewedRun) -> str:
    reviews = [review for review in reviewed.reviews.values() if not review.is_outdated]
    counts = Counter(review.verdict for review in reviews)
    left = len(reviewed.listing["cases"]) - counts["accepted"] - counts["rejected"]
    table = reviewed.folder.reviews.path
    return f"{counts['accepted']} accepted, {counts['rejected']} rejected, {left} without a verdict; {table}"
