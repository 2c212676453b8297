# SPDX-License-Identifier: Apache-2.0
"""Rules of Prometheus's text format: what a text does wrong."""

import re
import shutil
import subprocess

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? '
                    r'(-?[0-9.e+-]+)$')


def base_of(name, types):
    base = re.sub("_(bucket|sum|count)$", "", name)
    return base if types.get(base) == "histogram" else name


def histogram_faults(name, buckets, counts):
    bounds = [float(bound) for bound, _ in buckets]
    values = [value for _, value in buckets]
    if bounds != sorted(bounds) or bounds[-1] != float("inf"):
        yield f"{name}: bounds do not ascend to +Inf"
    if values != sorted(values):
        yield f"{name}: buckets are not cumulative"
    if values[-1] != counts.get(name):
        yield f"{name}: +Inf is not the count"


def name_faults(name, kind):
    if not name.startswith("coppice_"):
        yield f"{name}: no prefix"
    if (kind == "counter") != name.endswith("_total"):
        yield f"{name}: _total is for counters"
    if re.search("_(ms|ns|milliseconds|kb|mb)(_|$)", name):
        yield f"{name}: not in base units"


def faults(text):
    types, helps, buckets, counts, found = {}, set(), {}, {}, []
    seen = set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helps.add(line.split()[2])
        elif line.startswith("# TYPE "):
            types[line.split()[2]] = line.split()[3]
        elif not (match := SAMPLE.match(line)):
            found.append(f"no sample: {line}")
        else:
            name, labels, value = match.groups()
            base = base_of(name, types)
            if (name, labels) in seen or base not in types.keys() & helps:
                found.append(f"twice, or not declared: {line}")
            seen.add((name, labels))
            bound = re.search('le="([^"]*)"', labels or "")
            if bound:
                buckets.setdefault(base, []).append((bound[1], float(value)))
            elif name.endswith("_count"):
                counts[base] = float(value)
            if re.search('(pid|key|type)="', labels or ""):
                found.append(f"a label that grows: {line}")
    for name, kind in types.items():
        found += name_faults(name, kind)
    for name, listed in buckets.items():
        found += histogram_faults(name, listed, counts)
    return found


def promtool(text):
    """What promtool says of it, None without promtool."""
    if not shutil.which("promtool"):
        return None
    return subprocess.run(["promtool", "check", "metrics"], input=text,
                          text=True, capture_output=True).stderr
