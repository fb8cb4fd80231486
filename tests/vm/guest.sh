# SPDX-License-Identifier: LGPL-2.1-or-later
# What the guest's scripts share; sourced. Prints "case NAME" before each.
# shellcheck shell=bash

export GST_PLUGIN_SYSTEM_PATH=/run/gst GST_REGISTRY=/run/gst/registry.bin
export GST_REGISTRY_FORK=no GST_PLUGIN_PATH="" DM_DISABLE_UDEV=1

setup() {
  local plugin

  mount -t tmpfs tmpfs /run
  mount -t tmpfs tmpfs /mnt
  mkdir /run/gst
  while read -r plugin; do
    ln -s "$plugin" /run/gst/
  done <<<"$PLUGINS"
  busybox ip link set lo up
}

load() {
  local module
  for module; do
    modprobe "$module" || exit
  done
}

stream() { "$WBSTREAM" "$@"; }

# verify FILE NUMBER [OPTION...]: whether all of it is there, from the disk.
verify() {
  local file=$1 number=$2
  shift 2
  echo 1 >/proc/sys/vm/drop_caches
  echo "verify: $("$WBSTREAM" --verify "$file" --number "$number" "$@" 2>&1)"
}
