#!/bin/sh
# The part of package_test.sh that happens in namespaces of its own.
# Usage: in_root.sh ROOT WORK PACKAGE TESTS; newer.deb and the mount point "layer" are in WORK.
set -eu

lower=$1
work=$2
root=$work/layer
cp "$3" "$work/package.deb"
servers="postgresql-15 postgresql-15-pgpool2 pgpool2 openssh-server openssh-client iproute2"

fail() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}

mount -t tmpfs -o size=4g tmpfs "$root"
mkdir "$root/upper" "$root/scratch" "$root/merged"
mount -t overlay -o "lowerdir=$lower,upperdir=$root/upper,workdir=$root/scratch" overlay "$root/merged"
root=$root/merged
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
cp "$work/package.deb" "$work/newer.deb" "$4" "$root/tmp/"
chmod 755 "$root/tmp/package_tests"

inside() {
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C \
        DEBIAN_FRONTEND=noninteractive "$@"
}
install() {
    inside apt-get install -y -q --no-install-recommends "$@" </dev/null \
        >"$work/apt" 2>&1 || {
        cat "$work/apt"
        fail "apt-get install $*"
    }
}
# What is on the disk, but for what dpkg, apt and their tools keep of every package.
listing() {
    (cd "$root" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/cache \
        -o -path ./var/log -o -path ./proc -o -path ./dev -o -path ./tmp \
        -o -path ./etc/ld.so.cache -o -path ./var/lib/systemd \) -prune -o -print | sort)
}
hooks="failover_command follow_primary_command recovery_1st_stage pgpool_remote_start"
state=$root/var/lib/pgpool-hooks
conf=$root/etc/pgpool-hooks/hooks.conf

echo "---- installed before there is an account postgres: with what it depends on"
install /tmp/package.deb
for hook in $hooks; do
    inside "/usr/lib/pgpool-hooks/$hook" --version || fail "$hook does not run"
done
[ ! -e "$state" ] || fail "there is a state directory, and nobody to own it"

echo "---- then the servers: the account gets its directory"
# shellcheck disable=SC2086
install $servers
[ "$(inside stat -c '%U:%G %a' /var/lib/pgpool-hooks)" = "postgres:postgres 750" ] ||
    fail "the state directory is $(inside stat -c '%U:%G %a' /var/lib/pgpool-hooks)"

echo "---- removed and purged: nothing is left"
with_package=$(listing)
inside dpkg --purge pgpool-hooks
listing >"$work/before"
[ "$with_package" != "$(cat "$work/before")" ] || fail "the package has no files"
! grep -q pgpool-hooks "$work/before" || fail "left: $(grep pgpool-hooks "$work/before")"

echo "---- installed again, and upgraded over a changed hooks.conf"
install /tmp/package.deb
[ "$(listing)" = "$with_package" ] || fail "an installation after the servers is another one"
[ "$(inside stat -c '%U:%G %a' /var/lib/pgpool-hooks)" = "postgres:postgres 750" ] ||
    fail "the state directory is $(inside stat -c '%U:%G %a' /var/lib/pgpool-hooks)"
[ "$(inside dpkg-query -W -f '${Conffiles}' pgpool-hooks | grep -c .)" -eq 1 ] || fail "conffiles"
echo "replication_user = 'local change'" >>"$conf"
install /tmp/newer.deb
inside dpkg-query -W -f '${Version}\n' pgpool-hooks | grep -q newer || fail "not upgraded"
grep -q 'local change' "$conf" || fail "the upgrade took the local change away"

echo "---- used"
inside /tmp/package_tests || fail "the installed hooks"

echo "---- removed: configuration and state stay"
inside dpkg --remove pgpool-hooks
[ ! -e "$root/usr/lib/pgpool-hooks" ] || fail "the executables are still there"
[ ! -e "$root/usr/share/doc/pgpool-hooks" ] || fail "the documentation is still there"
grep -q 'local change' "$conf" || fail "the configuration is gone"
[ -d "$state" ] || fail "the state directory is gone"

echo "---- purged: lost commits stay, then nothing does"
mkdir -p "$state/diverged/run"
touch "$state/history" "$state/diverged/run/report"
inside dpkg --purge pgpool-hooks
[ ! -e "$conf" ] || fail "the configuration is still there"
[ "$(cd "$state" && find . -type f)" = ./diverged/run/report ] ||
    fail "not only the lost commits are left: $(find "$state")"
rm -r "$state/diverged/run"
install /tmp/package.deb
inside dpkg --purge pgpool-hooks
listing | diff "$work/before" - || fail "left"
echo "package: installed, upgraded, used, removed, purged"
