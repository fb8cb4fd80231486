# SPDX-License-Identifier: LGPL-2.1-or-later
# Recordings, one after the other, until the power goes. A line of $SINKS is a
# directory, a disk, the first recording's number, and the sink.
# shellcheck shell=bash
set -u
# shellcheck source=guest.sh
. "$(dirname "$0")/guest.sh"

setup
load virtio_blk ext4 xfs
while read -r name device number sink; do
  mkdir "/mnt/$name"
  mount "/dev/$device" "/mnt/$name" || exit
  # shellcheck disable=SC2086  # $LOAD is options
  stream -s "$sink" -o "/mnt/$name/%d" --streams 0 --number "$number" $LOAD &
done <<<"$SINKS"
wait
