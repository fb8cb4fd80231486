# SPDX-License-Identifier: LGPL-2.1-or-later
# An NFS 4.2 server and its client on one loopback. The disk is /dev/vda.
# shellcheck shell=bash
set -u
# shellcheck source=guest.sh
. "$(dirname "$0")/guest.sh"

serve() {
  exportfs -o rw,no_root_squash,insecure,fsid=0,no_subtree_check,sync \
    127.0.0.1:/mnt/export
  rpc.mountd -N 3
  rpc.nfsd -N 3 2
}

# All of the server begins anew.
restart() {
  echo 0 >/proc/fs/nfsd/threads
  kill "$(pidof rpc.mountd)"
  exportfs -ua
  exportfs -f
  until umount /mnt/export; do sleep 0.1; done
  sleep 2
  mount /dev/vda /mnt/export
  serve
}

if [ "${1-}" = restart ]; then
  restart
  exit
fi

setup
load virtio_blk ext4 nfsd nfs nfsv4
mount -t tmpfs tmpfs /var/lib/nfs
mkdir -p /mnt/export /mnt/nfs /var/lib/nfs/{rpc_pipefs,v4recovery,sm}
touch /var/lib/nfs/{etab,rmtab,xtab}
mount /dev/vda /mnt/export || exit
mount -t nfsd nfsd /proc/fs/nfsd
mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
# Clients of a server that was restarted have this long to claim what is theirs.
echo 10 >/proc/fs/nfsd/nfsv4leasetime
echo 10 >/proc/fs/nfsd/nfsv4gracetime

serve
mount -t nfs4 -o vers=4.2 127.0.0.1:/ /mnt/nfs || exit

# Two seconds, and something happens in the middle.
load=(-n 16777216 --rate 8 --at 8388608)

# both NAME COMMAND [OPTION...]: wbfilesink and, beside it, filesink, which is
# slower and so in its middle for sure when wbfilesink's stream runs COMMAND.
both() {
  local name=$1 command=$2
  shift 2
  echo "case $name"
  stream -s filesink -o "/mnt/nfs/$name-filesink" --number 100 \
    --patience "$patience" "${load[@]}" --rate 5 &
  stream -s "wbfilesink $*" -o "/mnt/nfs/$name" "${load[@]}" \
    --command "$command" "${again[@]}"
  wait
}

patience=30
again=()
stop='echo 0 >/proc/fs/nfsd/threads'
go_on='echo 2 >/proc/fs/nfsd/threads'

both stopped "$stop; (sleep 3; $go_on) &"
verify /mnt/export/stopped 0 "${load[@]}"

# The server is there, and takes calls, and none of them returns.
both frozen 'fsfreeze -f /mnt/export; (sleep 3; fsfreeze -u /mnt/export) &'
verify /mnt/export/frozen 0 "${load[@]}"

# As after a crash of the server's machine. It is away when the stream goes on: on
# a busy machine what follows begins later than the stream ends.
both restarted "$stop; bash '$0' restart &"
verify /mnt/export/restarted 0 "${load[@]}"

# For good, or so it seems; then it wakes up, and the file is written again.
# What comes after the stop must fit the queue, or the stream waits and EOS
# does not come.
load[5]=16252928
patience=4
again=(--again)
# gone NAME OPTION...: for all that is written, the server is away for 8 s.
gone() {
  local name=$1
  shift
  both "$name" "$stop; (sleep 8; $go_on) &" sync-timeout=3000000000 "$@"
  verify "/mnt/export/$name" 1 "${load[@]}"
}
# A write into a page that is on its way waits for the server. Here nothing is
# written twice: all of the file is with the kernel, and only the sync hangs.
load+=(-p none)
gone warn on-sync-timeout=warn
gone error on-sync-timeout=error
# Here each write waits for the server, and what follows it stays in the queue.
gone queued on-sync-timeout=warn o-sync=true
