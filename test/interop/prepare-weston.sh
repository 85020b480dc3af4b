#!/bin/sh
# Prepares the disk of the guest that runs Weston, in the cache folder that prepare.sh has made: an ext4 image with Weston, a
# software renderer and what they need, of Debian's development suite. Half a minute the first time; then no network. Prints the
# image's path on stdout, or why it cannot be had; progress on stderr.
#
#   prepare-weston.sh CACHE
#
# Exit code: 0 prepared; 3 it cannot be had here.
set -eu
cache=$1
root=$cache/root
image=$cache/weston.ext4
# A new number makes what is there be made anew.
version=1

say() { echo "interop: $*" >&2; }
cannot() {
	echo "$*"
	exit 3
}

exec 9>"$cache/lock"
command -v flock >/dev/null && flock 9

if [ -e "$cache/weston-$version" ]; then
	echo "$image"
	exit
fi
[ "$(id -u)" = 0 ] || cannot "Weston is missing, and only root can fetch it"
command -v mke2fs >/dev/null || cannot "mke2fs is missing (package e2fsprogs)"
say "fetching Weston (half a minute)"
# With an empty list of what is installed, apt finds all that Weston needs, the C library too. Unpacked, not installed: nothing
# in the guest asks the package manager, and Weston needs none of what the packages' scripts make.
packages="weston seatd libgl1-mesa-dri base-files"
rm -rf "$root/weston"
mkdir -p "$root/weston/debs/partial" "$root/weston/tree"
: >"$root/weston/status"
# A mirror may stand still; without a network it is this that fails, at once.
chroot "$root" sh -c "apt-get -o Acquire::Check-Valid-Until=false -o APT::Update::Error-Mode=any -o Acquire::Retries=0 update &&
	apt-get -y --no-install-recommends -o Dir::State::Status=/weston/status -o Dir::Cache::Archives=/weston/debs --download-only \
		install $packages" >"$cache/download-weston.log" 2>&1 ||
	cannot "Weston cannot be fetched: $(tail -1 "$cache/download-weston.log")"
for package in "$root"/weston/debs/*.deb; do dpkg-deb -x "$package" "$root/weston/tree"; done
rm -rf "$root/weston/debs"

say "making its disk"
tree=$root/weston/tree
rm -rf "$tree/usr/share/doc" "$tree/usr/share/man" "$tree/usr/share/locale" "$tree/usr/share/i18n" "$tree/usr/lib/systemd"
mkdir -p "$tree/proc" "$tree/sys" "$tree/dev" "$tree/tmp" "$tree/run"
megabytes=$(($(du -sm "$tree" | cut -f1) * 6 / 5 + 64))
rm -f "$image"
mke2fs -q -t ext4 -m 0 -O ^has_journal -d "$tree" "$image" "${megabytes}M" >"$cache/mke2fs.log" 2>&1 ||
	cannot "the disk cannot be made: $(tail -1 "$cache/mke2fs.log")"
rm -rf "$root/weston"
touch "$cache/weston-$version"
echo "$image"
