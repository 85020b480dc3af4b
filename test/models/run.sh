#!/usr/bin/env bash
# Checks the models with spin, every state of each; and that spin rejects each model when it is broken in one place.
# Needs spin and a C compiler. Exit code: 0 all as it should be, 1 not, 2 spin or the compiler is missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
compiler=$(command -v cc gcc clang | head -n 1) || true
if [ -z "$compiler" ] || ! command -v spin >/dev/null; then
  echo 'models: spin or a C compiler is missing (Debian: apt-get install spin gcc libc6-dev)' >&2
  exit 2
fi
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
failed=0

# verify OPTIMISE MODEL FLAG…: 0 when no error was found in any state, 1 when there is one, 2 when the search was not complete.
verify() {
  local optimise=$1 model=$2
  shift 2
  cd "$temp"
  rm -f pan*
  spin -a "$@" "$here/$model.pml" >spin.txt || { cat spin.txt; return 2; }
  "$compiler" "$optimise" -w -DSAFETY -DMEMLIM=2000 -o pan pan.c
  ./pan -m4000000 >pan.txt 2>&1
  if grep -q 'errors: [1-9]' pan.txt; then return 1; fi
  if grep -qE 'errors: 0' pan.txt && ! grep -qE 'max search depth too small|Search not completed' pan.txt; then return 0; fi
  return 2
}

holds() {
  local code=0
  verify -O2 "$@" || code=$?
  if [ "$code" = 0 ]; then
    printf 'holds     %-50s %s states\n' "$*" "$(sed -nE 's/^ *([0-9.e+]+) states, stored.*/\1/p' "$temp/pan.txt")"
  else
    printf 'NOT HELD  %s: %s\n' "$*" "$(grep -m1 -E 'assertion|invalid end' "$temp/pan.txt" || echo 'not checked')"
    failed=1
  fi
}

# An error is found soon, or not at all.
rejected() {
  local code=0
  verify -O0 "$@" || code=$?
  if [ "$code" = 1 ]; then
    printf 'rejected  %-50s %s\n' "$*" "$(grep -m1 -oE 'assertion violated|invalid end state' "$temp/pan.txt")"
  else
    printf 'NOT REJECTED  %s\n' "$*"
    failed=1
  fi
}

for kind in FLAGS EVENT_IDX PACKED; do
  holds wake-up "-D$kind"
  for broken in RECHECK KICK_RECHECK EVENT_ORDER INTERRUPT_ORDER PUBLISH BELL WAIT; do rejected wake-up "-D$kind" "-DBROKEN_$broken"; done
done
rejected wake-up -DEVENT_IDX -DBROKEN_EVENT_WRAP
holds reset
for broken in NO_WAIT SEEN_FIRST KEEPS_QUEUE SILENT; do rejected reset "-DBROKEN_$broken"; done
exit "$failed"
