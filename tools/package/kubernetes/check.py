#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""check.py FILE...: what in Kubernetes manifests matters to a shared store.

A manifest may be valid and yet leave workers apart: without the same /dev/shm
and the same PIDs they cannot share a store, and with too little memory they
are killed. Prints what is amiss; the status is 1 if something is.
"""

import sys

import yaml

UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def size(text):
    """Bytes of a quantity such as 3Gi."""
    return int(text[:-2]) * UNITS[text[-2:]]


def pod_faults(pod, claims):
    """What is amiss with a pod as a whole, and its volumes."""
    if not pod.get("shareProcessNamespace"):
        yield "shareProcessNamespace is not true"
    if not pod.get("securityContext", {}).get("fsGroup"):
        yield "no fsGroup: containers cannot all write the volume"
    if not pod.get("securityContext", {}).get("runAsNonRoot"):
        yield "it may run as root"
    for claim in claims:
        if claim["spec"]["accessModes"] not in (["ReadWriteOnce"],
                                                ["ReadWriteOncePod"]):
            yield "the store's volume may be mounted by several machines"
    if not claims:
        yield "there is no volume for the store"
    if not any("attach" in container.get("args", [])
               for container in pod.get("initContainers", [])):
        yield "no init container attaches"


def container_faults(container, shm):
    """What is amiss with one container."""
    places = {mount["mountPath"]: mount["name"]
              for mount in container.get("volumeMounts", [])}
    if places.get("/dev/shm") != shm["name"]:
        yield "/dev/shm is not the shared one"
    store = next((value.get("value", "") for value in container["env"]
                  if value["name"] == "COPPICE_STORE"), "")
    if not any(store.startswith(place + "/") for place in places):
        yield "COPPICE_STORE is on no volume"
    limit = container["resources"]["limits"]["memory"]
    if size(limit) <= size(shm["emptyDir"]["sizeLimit"]):
        yield f"its limit of {limit} is used up by the shared memory"
    if container.get("securityContext", {}).get("allowPrivilegeEscalation",
                                                True):
        yield "it may become more than it is"


def faults(manifest):
    """Everything amiss with a StatefulSet."""
    spec = manifest["spec"]
    pod = spec["template"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    if spec["selector"]["matchLabels"].items() - labels.items():
        yield "the selector does not select its pods"
    yield from pod_faults(pod, spec.get("volumeClaimTemplates", []))
    shm = next((volume for volume in pod.get("volumes", [])
                if volume.get("emptyDir", {}).get("medium") == "Memory"
                and volume["emptyDir"].get("sizeLimit")), None)
    if not shm:
        yield "no emptyDir in memory with a sizeLimit"
        return
    for container in pod.get("initContainers", []) + pod["containers"]:
        for fault in container_faults(container, shm):
            yield f"{container['name']}: {fault}"
    for container in pod["containers"]:
        for probe in PROBES:
            if probe not in container:
                yield f"{container['name']}: no {probe}"


def main(names):
    amiss = 0
    for name in names:
        with open(name, encoding="utf-8") as file:
            for manifest in yaml.safe_load_all(file):
                if manifest["kind"] != "StatefulSet":
                    continue
                for fault in faults(manifest):
                    print(f"{name}: {fault}")
                    amiss = 1
    return amiss


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
