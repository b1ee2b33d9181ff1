#!/usr/bin/env bash
# How long nobody can write when the leader dies, freezes, is cut off or leaves: Corral beside Apache ZooKeeper 3.9.5, a row of
# a table for each. What each run prints goes to target/failover/. Build first: `make failover FAILOVER=--help`.
#
#   SERVERS="corral apache-3.9" FAULTS="kill freeze cut-off leave" TREES="10000 1000000" TIMES=50 DELAYS="0" tests/bench/failover.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
export CORRAL_BIN="${CORRAL_BIN:-$PWD/target/release/corral}"
logs=target/failover
mkdir -p "$logs"

# "median / p99 / max" of the row that begins so.
figures() { awk -v row="$1" 'index($0, row) == 1 { print $(NF-2) " / " $(NF-1) " / " $NF }' "$2"; }
count() { sed -n "s/^$1: //p" "$2"; }

echo "$(git log -1 --format='%h of %cs'), $(nproc) cores; milliseconds, median / p99 / maximum"
echo
echo "| server | fault | znodes | syncs slower by | times | clients of the others | clients of the leader | the others, at its return | another led after the return |"
echo "|---|---|---:|---:|---:|---:|---:|---:|---:|"
for tree in ${TREES:-10000 1000000}; do
  for delay in ${DELAYS:-0}; do
    for fault in ${FAULTS:-kill freeze cut-off leave}; do
      for server in ${SERVERS:-corral apache-3.9}; do
        log="$logs/$server-$fault-$tree-$delay.log"
        CORRAL_TEST_SERVER="$server" target/release/failover-gap --fault "$fault" --times "${TIMES:-50}" --tree "$tree" \
          --sync-delay "$delay" > "$log" 2>&1 || { echo "failed: see $log" >&2; continue; }
        echo "| $server | $fault | $tree | $delay ms | ${TIMES:-50} | $(figures 'of the other members' "$log") |" \
          "$(figures 'of the leader' "$log") | $(figures 'of the others, at its return' "$log") |" \
          "$(count 'returns after which another led' "$log") |"
      done
    done
  done
done
