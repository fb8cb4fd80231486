# SPDX-License-Identifier: LGPL-2.1-or-later
# Disks that turn to errors under a stream, by device mapper. $CASES are pairs
# of a case and a file system, which is on /dev/vda, /dev/vdb and so on.
# shellcheck shell=bash
set -u
# shellcheck source=guest.sh
. "$(dirname "$0")/guest.sh"

# change TABLE: what the disk is from now on.
change() {
  dmsetup suspend --noflush --nolockfs flaky &&
    dmsetup load flaky <<<"$1" && dmsetup resume flaky
}

# with_errors FROM-TO...: the table of $device, of $size sectors, with errors
# between so many MiB.
with_errors() {
  local range from to at=0
  for range; do
    from=$((${range%-*} * 2048)) to=$((${range#*-} * 2048))
    echo "$at $((from - at)) linear $device $at"
    echo "$from $((to - from)) error"
    at=$to
  done
  [ "$at" -eq "$size" ] || echo "$at $((size - at)) linear $device $at"
}

if [ "${1-}" = change ]; then
  change "$2"
  exit
fi

setup
load virtio_blk ext4 xfs dm-flakey
mkdir /mnt/disk
# A second, and something happens in the middle.
load=(-n 16777216 --rate 16 --at 8388608)

disks=({a..z})
for name in $CASES; do
  device=/dev/vd${disks[0]} disks=("${disks[@]:1}")
  size=$(blockdev --getsz "$device")
  whole="0 $size linear $device 0"
  fails="0 $size flakey $device 0 0 1000 1 error_writes"
  # Only data lies there: between ext4's inodes and its journal, and in the
  # xfs groups that do not hold the log, behind their headers.
  case $name in
    *-ext4) bad=$(with_errors 16-290) ;;
    *-xfs) bad=$(with_errors 4-128 132-256 388-512) ;;
  esac
  returns=''
  case $name in
    error-*) command="bash '$0' change '0 $size error'" ;;
    recovers-*) command="bash '$0' change '$fails'
      (sleep 2; bash '$0' change '$whole') &" returns=linear ;;
    sectors-*) command="bash '$0' change '$bad'" ;;
  esac

  echo "case $name"
  dmsetup create flaky <<<"$whole"
  dmsetup mknodes
  mount -t "${name#*-}" /dev/mapper/flaky /mnt/disk || exit
  stream -s filesink -o /mnt/disk/filesink --number 100 "${load[@]}" \
    --rate 10 &
  stream -s wbfilesink -o /mnt/disk/file "${load[@]}" --command "$command"
  wait
  # What there is when the disk is itself again.
  until dmsetup table flaky | grep -q "$returns"; do sleep 0.1; done
  umount /mnt/disk
  change "$whole"
  mount /dev/mapper/flaky /mnt/disk
  verify /mnt/disk/filesink 100 "${load[@]}"
  umount /mnt/disk
  dmsetup remove flaky
done
