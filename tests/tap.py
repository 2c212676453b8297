# SPDX-License-Identifier: Apache-2.0
"""Test Anything Protocol for tests in Python: ok(), raises(), done()."""

import sys

count = 0
bad = 0


def ok(good, claim, *remarks):
    """A claim; the remarks are shown if it does not hold."""
    global count, bad
    count += 1
    bad += not good
    print(f"{'ok' if good else 'not ok'} {count} - {claim}", flush=True)
    for remark in remarks if not good else ():
        print(f"# {remark!r}", flush=True)


def raises(error, claim, call, *arguments, **keywords):
    """Returns the exception, or None."""
    try:
        got = call(*arguments, **keywords)
    except error as caught:
        ok(True, claim)
        return caught
    except BaseException as other:
        ok(False, claim, other)
        return None
    ok(False, claim, got)
    return None


def done():
    print(f"1..{count}")
    sys.exit(bad != 0)
