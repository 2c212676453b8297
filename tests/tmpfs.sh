# SPDX-License-Identifier: Apache-2.0
#
# tmpfs: tap.sh for tests that fill a disk.  They set disk_size, and have it at
# $disk: a tmpfs in a namespace of the test's own, and gone with it.
if [ -z "${OWN_MOUNTS-}" ] && unshare -m true 2>/dev/null; then
	OWN_MOUNTS=1 exec unshare -m "$0" "$@"
fi
. "$(dirname "$0")/tap.sh"

disk=$work/disk
mkdir "$disk"
[ -n "${OWN_MOUNTS-}" ] &&
	mount -t tmpfs -o size="$disk_size" none "$disk" 2>/dev/null ||
	skip_all 'this process may not mount'

# Whatever becomes of the test, the folder can be removed.
disk_end()
{
	"$COPPICE" detach "$store" >/dev/null 2>&1
	umount "$disk"
	tap_end
}
trap disk_end EXIT
