# SPDX-License-Identifier: LGPL-2.1-or-later
# What the scripts share: installing what is missing, and building. Source it:
#   . "$(dirname "$(readlink -f "$0")")/lib.sh"
# shellcheck shell=bash

SOURCE_DIR=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd -P)
SCRIPT_NAME=$(basename "$0")

# To compile the plugin and the tools.
# shellcheck disable=SC2034  # for those who source this
BUILD_PACKAGES=(meson ninja-build build-essential pkgconf libgstreamer1.0-dev
  libgstreamer-plugins-base1.0-dev libavformat-dev libavcodec-dev libavutil-dev
  libbluray-dev libdvdread-dev)

# To run pipelines that remux: matroskamux is in -good, the demuxers and most
# parsers in -bad, encoders in -ugly. (wbremux needs none of them.)
# shellcheck disable=SC2034
RUN_PACKAGES=(gstreamer1.0-tools gstreamer1.0-plugins-base
  gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly)

say() { printf '%s: %s\n' "$SCRIPT_NAME" "$*" >&2; }

die() {
  say "$@"
  exit 1
}

# least_version PACKAGE: what debian/control asks for, or nothing.
least_version() {
  sed -n "s/^ $1 (>= \\(.*\\)),\$/\\1/p" "$SOURCE_DIR/debian/control"
}

# is_too_old PACKAGE VERSION
is_too_old() {
  local least

  least=$(least_version "$1")
  [ -n "$least" ] && [ -n "$2" ] && dpkg --compare-versions "$2" lt "$least"
}

# is_installed PACKAGE: and no older than it has to be.
is_installed() {
  local status version

  read -r status version < <(
    dpkg-query -W -f='${db:Status-Status} ${Version}\n' "$1" 2>/dev/null) || return 1
  [ "$status" = installed ] && ! is_too_old "$1" "$version"
}

# candidate PACKAGE: the version that apt would install, or nothing.
candidate() {
  LC_ALL=C apt-cache policy "$1" 2>/dev/null \
    | sed -n 's/^ *Candidate: \([^(].*\)/\1/p'
}

# refuse_old PACKAGE...: exits, with all reasons in one line, if what apt would
# install is too old. What apt does not know of is not judged.
refuse_old() {
  local package version name reasons=''

  for package in "$@"; do
    version=$(candidate "$package")
    if is_too_old "$package" "$version"; then
      reasons+=", $package is $version and has to be $(least_version "$package")"
    fi
  done
  [ -n "$reasons" ] || return 0
  # shellcheck source=/dev/null
  name=$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME-}") || true
  die "${name:-this system} is too old: ${reasons#, }"
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

# need_packages PACKAGE...: installs those that are missing or too old, and says so.
# Where the system has none that will do, or without a way to become root, it says
# so and exits, with nothing installed; without dpkg it says which they are.
need_packages() {
  local package missing=()

  if ! command -v dpkg-query >/dev/null; then
    say "no dpkg here: the packages of this system that match these are needed: $*"
    return 0
  fi
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  refuse_old "${missing[@]}"

  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    die "needs these packages, and there is neither root nor sudo: ${missing[*]}"
  fi
  as_root apt-get -qq update || die "apt-get update failed"
  refuse_old "${missing[@]}" # known only now, in a fresh image
  say "installing: ${missing[*]}"
  as_root apt-get -qq install -y --no-install-recommends "${missing[@]}" >&2 \
    || die "could not install: ${missing[*]}"
}

# quietly COMMAND...: its output only if it fails.
quietly() {
  local log status=0

  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  [ $status -eq 0 ] || cat "$log" >&2
  rm -f "$log"
  return $status
}

# configure_in DIR [MESON-ARGUMENT...]: sets DIR up, or changes its options. DIR
# may be there from an earlier run; a broken one is set up anew.
configure_in() {
  local dir=$1
  shift

  if [ ! -f "$dir/build.ninja" ]; then
    quietly meson setup "$dir" "$SOURCE_DIR" "$@" || die "meson setup failed"
  elif [ $# -gt 0 ]; then
    quietly meson configure "$dir" "$@" || die "meson configure failed"
  fi
}

# compile_in DIR [TARGET...]: builds the targets, or everything.
compile_in() {
  local dir=$1
  shift

  quietly ninja -C "$dir" "$@" || die "the build failed"
}

# build_in DIR [MESON-ARGUMENT...]: sets up and builds everything.
build_in() {
  configure_in "$@"
  compile_in "$1"
}
