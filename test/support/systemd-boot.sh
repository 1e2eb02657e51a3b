#!/bin/sh
# Boots this machine's systemd as pid 1 of namespaces of its own, until standard input closes. Nothing outside of them
# is touched: the units are the given ones alone, /usr is this machine's and read-only, /proc/sys is read-only, too.
# Arguments: an empty directory to be the root; a directory whose content is put into it (etc, opt, …); for each
# program that /usr/local/bin is to have: NAME=PATH.
set -eu
if [ "${1:-}" != --inside ]; then
  groups=/sys/fs/cgroup
  [ -d "$groups/unified" ] && groups=$groups/unified
  # In a directory of any other file system the lines below would make files, and nothing else.
  [ -f "$groups/cgroup.controllers" ] || { echo "there is no cgroup v2 at $groups: mount -t cgroup2" >&2; exit 1; }
  group=$groups/dewy-test-$$
  mkdir "$group"
  sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group" \
    unshare --mount --pid --fork --kill-child --cgroup --uts --ipc sh "$0" --inside "$@" </dev/null &
  booted=$!
  read -r _ || true
  kill -9 "$booted" 2>/dev/null || true
  wait "$booted" 2>/dev/null || true
  # Its processes take a moment to be gone.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.2
  done
  exit 0
fi
root=$2
given=$3
shift 3

mount --make-rprivate /
mount -t tmpfs -o mode=755 root "$root"
cd "$root"
mkdir -p usr var/log var/tmp var/lib var/cache run tmp proc sys dev root
chmod 1777 tmp var/tmp
cp -R "$given/." .
mount --rbind /usr usr
mount -o remount,bind,ro usr
# /bin and others as they are: links into /usr, or directories.
for name in bin sbin lib lib32 lib64; do
  if [ -h "/$name" ]; then cp -P "/$name" "$name"
  elif [ -d "/$name" ]; then mkdir "$name"; mount --bind -o ro "/$name" "$name"
  fi
done
mount -t tmpfs local usr/local
mkdir usr/local/bin
for program; do
  touch "usr/local/bin/${program%%=*}"
  mount --bind "${program#*=}" "usr/local/bin/${program%%=*}"
done
# They would make units of what this machine has.
mount -t tmpfs none usr/lib/systemd/system-generators

mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 dev dev
for name in null zero full random urandom tty; do
  touch "dev/$name"
  mount --bind "/dev/$name" "dev/$name"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs shm dev/shm
ln -s /proc/self/fd dev/fd
touch dev/console
mount -t tmpfs -o mode=755 run run

mkdir .old
pivot_root . .old
umount -l /.old
rmdir /.old
exec env -i container=test SYSTEMD_UNIT_PATH=/etc/systemd/system PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --unit=multi-user.target --log-target=console --log-level=info --show-status=no
