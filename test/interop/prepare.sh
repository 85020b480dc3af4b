#!/bin/sh
# Prepares what the tests with a real Linux guest need, in a cache folder outside the tree: QEMU and a kernel of Debian's
# development suite, the test client, and the guest's initial file system. Minutes the first time, seconds afterwards, then
# without a network. Prints the folder's name on stdout, or why it cannot be had; progress on stderr.
#
#   SCANOUT_INTEROP_CACHE   the folder (default: scanout-interop in the user's cache folder)
#
# Exit code: 0 prepared; 3 it cannot be had here.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${SCANOUT_INTEROP_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/scanout-interop}
root=$cache/root
# A new number makes what is there be made anew.
version=1

say() { echo "interop: $*" >&2; }
cannot() {
	echo "$*"
	exit 3
}
# need FILE-OR-COMMAND PACKAGE
need() {
	if [ -e "$1" ] || command -v "$1" >/dev/null; then return; fi
	[ "$(id -u)" = 0 ] || cannot "$1 is missing, and only root can install the package $2"
	say "installing $2"
	{ apt-get install -y --no-install-recommends "$2" || { apt-get update && apt-get install -y --no-install-recommends "$2"; }; } \
		>"$cache/apt.log" 2>&1 || cannot "the package $2 cannot be installed: $(tail -1 "$cache/apt.log")"
}

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || cannot "the guest is an x86-64 Linux; this machine is $(uname -s) $(uname -m)"
mkdir -p "$cache"
exec 9>"$cache/lock"
command -v flock >/dev/null && flock 9

if [ ! -e "$cache/root-$version" ]; then
	[ "$(id -u)" = 0 ] || cannot "the first time needs root (debootstrap)"
	need debootstrap debootstrap
	say "fetching QEMU and its libraries (a minute)"
	rm -rf "$root"
	# The machine's own mirror, where its package lists name one.
	mirror=$(sed -n 's/^deb \(\[[^]]*\] \)\?\(http[^ ]*\/debian\/\?\) .*/\2/p; s/^URIs: *\(http[^ ]*\/debian\/\?\)$/\1/p' \
		/etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1)
	debootstrap --variant=minbase --include=qemu-system-x86,busybox-static,cpio,kmod,xz-utils sid "$root" ${mirror:+"$mirror"} \
		>"$cache/debootstrap.log" 2>&1 || cannot "debootstrap failed: $(tail -1 "$cache/debootstrap.log")"
	say "fetching a kernel"
	packages=$(chroot "$root" sh -c 'apt-get update >/dev/null 2>&1; apt-cache depends --recurse --no-recommends --no-suggests \
		--no-conflicts --no-breaks --no-replaces --no-enhances linux-image-amd64' | grep -E '^linux-(image|binary|modules)-' | sort -u)
	[ -n "$packages" ] || cannot "no kernel package was found"
	# shellcheck disable=SC2086
	chroot "$root" sh -c "cd /tmp && apt-get download $(echo $packages)" >"$cache/download.log" 2>&1 ||
		cannot "the kernel cannot be fetched: $(tail -1 "$cache/download.log")"
	for package in "$root"/tmp/*.deb; do dpkg-deb -x "$package" "$root"; done
	rm -f "$root"/tmp/*.deb "$root"/var/cache/apt/archives/*.deb
	touch "$cache/root-$version"
fi

# A kernel whose virtio-gpu driver cannot import yet (the series came with 6.14). Without it only its test is skipped.
old=$root/old-kernel
if [ ! -e "$cache/old-kernel-$version" ]; then
	if [ "$(id -u)" = 0 ]; then
		say "fetching an older kernel"
		rm -rf "$old"
		mkdir -p "$old"
		sed 's/ sid / bookworm /' "$root/etc/apt/sources.list" >"$root/etc/apt/sources.list.d/bookworm.list"
		if chroot "$root" sh -c "apt-get update >/dev/null 2>&1; cd /old-kernel && apt-get download \"\$(apt-cache pkgnames linux-image-6.1 |
			grep -E '^linux-image-6\.1\.0-[0-9]+-amd64\$' | sort -V | tail -1)\"" >"$cache/download-old.log" 2>&1; then
			for package in "$old"/*.deb; do dpkg-deb -x "$package" "$old"; done
			rm -f "$old"/*.deb
			touch "$cache/old-kernel-$version"
		else
			say "the older kernel cannot be fetched: $(tail -1 "$cache/download-old.log")"
		fi
		rm -f "$root/etc/apt/sources.list.d/bookworm.list"
	else
		say "the older kernel is missing, and only root can fetch it"
	fi
fi

# QEMU's own virtio-gpu back end, as a peer: only the program itself, not the windows and sound of its package. Without it only
# what drives it uses another one or is skipped.
if [ ! -e "$cache/peer-$version" ]; then
	if [ "$(id -u)" = 0 ]; then
		say "fetching QEMU's vhost-user-gpu"
		if chroot "$root" sh -c "export DEBIAN_FRONTEND=noninteractive
			apt-get -o Acquire::Check-Valid-Until=false -o APT::Update::Error-Mode=any -o Acquire::Retries=0 update &&
			apt-get install -y --no-install-recommends libvirglrenderer1 libepoxy0 libgbm1 libnuma1 &&
			rm -rf /peer && mkdir /peer && cd /peer && apt-get download qemu-system-gui && dpkg-deb -x ./*.deb . &&
			mkdir -p /usr/lib/qemu && cp usr/lib/qemu/vhost-user-gpu /usr/lib/qemu/ && rm -rf /peer" >"$cache/download-peer.log" 2>&1; then
			rm -f "$root"/var/cache/apt/archives/*.deb
			touch "$cache/peer-$version"
		else
			say "QEMU's vhost-user-gpu cannot be fetched: $(tail -1 "$cache/download-peer.log")"
		fi
	else
		say "QEMU's vhost-user-gpu is missing, and only root can fetch it"
	fi
fi

need gcc gcc
need /usr/include/libdrm/drm.h libdrm-dev
if [ ! -e "$cache/client" ] || [ "$here/guest/client.c" -nt "$cache/client" ]; then
	gcc -O2 -Wall -static -I/usr/include/libdrm -o "$cache/client" "$here/guest/client.c" 2>"$cache/gcc.log" ||
		cannot "the test client cannot be built (libc6-dev?): $(head -1 "$cache/gcc.log")"
fi

# prepared_kernel SUFFIX FOLDER MODULE...: vmlinuz and an initial file system, of the kernel in that folder of the root.
prepared_kernel() {
	suffix=$1
	folder=$2
	shift 2
	kernel=$(find "$root$folder/boot" "$root$folder/usr/lib/modules" -name 'vmlinuz*' -type f 2>/dev/null | sort | tail -1)
	[ -n "$kernel" ] || cannot "there is no kernel in $root$folder"
	cp -u "$kernel" "$cache/vmlinuz$suffix"
	initrd=$cache/initrd$suffix.gz
	if [ -e "$initrd" ] && [ -z "$(find "$cache/client" "$here/guest" "$here/prepare.sh" -newer "$initrd")" ]; then return; fi
	tree=$root/initrd
	rm -rf "$tree"
	mkdir -p "$tree/bin" "$tree/lib/modules" "$tree/proc" "$tree/sys" "$tree/dev"
	cp "$root/bin/busybox" "$tree/bin/busybox"
	cp "$cache/client" "$tree/bin/client"
	cp "$here/guest/init" "$tree/init"
	cp "$here/guest/weston.sh" "$tree/bin/weston.sh"
	release=$(basename "$(dirname "$(find "$root$folder/lib/modules/" -maxdepth 2 -name kernel | sort | tail -1)")")
	chroot "$root" depmod -b "$folder/" "$release" 2>"$cache/depmod.log"
	# In the order in which they are loaded, with what each needs before it; one that is built in is no file.
	number=10
	for module in "$@"; do
		chroot "$root" modprobe -d "$folder/" -S "$release" --show-depends "$module" 2>/dev/null || true
	done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r file; do
		name=$(basename "$file")
		target=$tree/lib/modules/$number-${name%%.ko*}.ko
		case $file in
		*.xz) chroot "$root" xz -dc "$file" >"$target" ;;
		*.zst) zstd -dc "$root$file" >"$target" ;;
		*) cp "$root$file" "$target" ;;
		esac
		number=$((number + 1))
	done
	chroot "$root" sh -c 'cd /initrd && find . | cpio -o -H newc --quiet | gzip -1' >"$initrd.new"
	mv "$initrd.new" "$initrd"
	rm -rf "$tree"
}
prepared_kernel '' '' virtio-gpu bochs vfio_iommu_type1 vfio-pci virtio_blk ext4
# It has no udmabuf; vgem is a GPU that has nothing but buffers.
[ ! -e "$cache/old-kernel-$version" ] || prepared_kernel -old /old-kernel virtio_pci virtio-gpu vgem
echo "$cache"
