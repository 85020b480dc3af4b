#!/bin/busybox sh
# weston.sh FRAMES: Weston, from the disk, renders on the guest's other GPU for the virtio-gpu head alone; a client draws FRAMES
# frames into a window of it; then Weston is told to end.
disk=/disk
log=$disk/run/weston.log
fail() {
	echo "FAIL weston: $1"
	[ ! -e $log ] || cut -c1-150 $log
	exit 1
}
# The card whose device has that driver.
card_of() {
	for card in /sys/class/drm/card?; do
		[ "$(basename "$(readlink -f "$card/device/driver")")" != "$1" ] || basename "$card"
	done
}

mkdir -p $disk
mount -t ext4 -o ro /dev/vda $disk || fail "there is no disk"
for folder in proc sys dev; do mount -o bind /$folder $disk/$folder; done
for folder in run tmp; do mount -t tmpfs none $disk/$folder; done
mkdir -m 700 $disk/run/user
ours=$(card_of virtio-pci)
other=$(card_of bochs-drm)
cat >$disk/run/weston.ini <<INI
[output]
name=$(ls -d "/sys/class/drm/$other-"* | sed "s/.*$other-//")
mode=off
INI
# There is no terminal to switch, and no input.
export XDG_RUNTIME_DIR=/run/user HOME=/tmp LIBSEAT_BACKEND=seatd SEATD_VTBOUND=0 WAYLAND_DISPLAY=wayland
chroot $disk seatd-launch -l error -- weston --config=/run/weston.ini --backend=drm --drm-device="$other" --additional-devices="$ours" \
	--continue-without-input --idle-time=0 --log=/run/weston.log --socket=wayland >/dev/null 2>&1 &
weston=$!
until [ -S $disk/run/user/wayland ]; do
	kill -0 $weston 2>/dev/null || fail "it ended with its start"
	sleep 0.2
done
# The client asks with each frame to be told when it is time for the next one. It ends when nobody reads what it says.
asked=$(WAYLAND_DEBUG=client timeout 120 chroot $disk weston-simple-shm 2>&1 | grep -c -m $(($1 + 1)) '\.frame(')
[ "$asked" = $(($1 + 1)) ] || fail "the client was asked for just $asked frames"
killall -TERM weston
wait $weston || fail "it ended with $?"
grep -o -E "using /dev.*|adding secondary device.*|GL renderer: .*|Output '.*' enabled.*" $log
echo "cards: $other renders, $ours shows"
echo "DONE weston"
