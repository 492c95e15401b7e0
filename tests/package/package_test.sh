#!/bin/sh
# Builds the Debian package and follows it through its life in a fresh Debian 12: installed before
# and after the servers, upgraded over a changed hooks.conf, used for a failover and a recovery,
# removed, purged. Usage: package_test.sh BUILD_DIRECTORY
#
# The fresh root is a layer over one that debootstrap makes once, with the servers' packages beside
# it, in ${PGPOOL_HOOKS_CACHE:-/var/cache/pgpool-hooks}. From then on nothing is downloaded: the
# test itself has no network.
set -eu

build=$(cd "$1" && pwd)
tests=$(cd "$(dirname "$0")" && pwd)
cache=${PGPOOL_HOOKS_CACHE:-/var/cache/pgpool-hooks}
root=$cache/package-bookworm
servers="postgresql-15 postgresql-15-pgpool2 pgpool2 openssh-server openssh-client iproute2"

fail() {
    printf 'FAILED: %s\n' "$*"
    exit 1
}

make_root() {
    rm -rf "$root.new"
    echo "making $root"
    debootstrap --variant=minbase bookworm "$root.new" >"$cache/package.log" 2>&1 || {
        tail -n 20 "$cache/package.log"
        fail "debootstrap"
    }
    # Nothing starts in there by itself.
    printf '#!/bin/sh\nexit 101\n' >"$root.new/usr/sbin/policy-rc.d"
    chmod +x "$root.new/usr/sbin/policy-rc.d"
    mkdir -p "$root.new/etc/postgresql-common"
    echo 'create_main_cluster = false' >"$root.new/etc/postgresql-common/createcluster.conf"
    # Not installed: what the package itself depends on it must bring.
    # shellcheck disable=SC2086
    chroot "$root.new" apt-get install -y -q --no-install-recommends --download-only \
        $servers $(depends "$package") >>"$cache/package.log" 2>&1 || {
        tail -n 20 "$cache/package.log"
        fail "apt-get --download-only"
    }
    rm -rf "$root"
    mv "$root.new" "$root"
}

depends() {
    dpkg-deb -f "$1" Depends | sed 's/([^)]*)//g; s/,/ /g'
}

# ---- the package, from this build
. /etc/os-release
[ "${VERSION_CODENAME-}" = bookworm ] || fail "this test is for a build on Debian 12"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work/cpack") >"$work/log" 2>&1 || {
    cat "$work/log"
    fail "cpack"
}
package=$(ls "$work"/cpack/pgpool-hooks_*.deb)
dpkg-deb -I "$package"
dpkg-deb -c "$package"
for library in libc6 libfmt9 libpq5 libssh-4 libstdc++6; do
    case " $(depends "$package") " in
    *" $library "*) ;;
    *) fail "it does not depend on $library: $(depends "$package")" ;;
    esac
done
lintian --fail-on error,warning "$package" || fail "lintian"

# An upgrade, as far as dpkg is concerned.
dpkg-deb -R "$package" "$work/newer"
sed -i 's/^Version: .*/&+newer/' "$work/newer/DEBIAN/control"
dpkg-deb --root-owner-group -b "$work/newer" "$work/newer.deb" >/dev/null

# ---- its life
mkdir -p "$cache"
(
    flock 9
    [ -d "$root" ] || make_root
) 9>"$cache/package.lock"
mkdir "$work/layer"
# Namespaces of its own: mounts, processes and a network without a way out end with it.
unshare --mount --pid --fork --kill-child --net --ipc --propagation private \
    "$tests/in_root.sh" "$root" "$work" "$package" "$build/bin/package_tests"
