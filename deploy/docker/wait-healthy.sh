#!/usr/bin/env bash
# Waits until all containers of the compose project in the current folder are healthy, and shows them.
set -euo pipefail
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi

for _ in $(seq 60); do
    states=$("${compose[@]}" ps -q | xargs -r docker inspect --format '{{.Name}} {{.State.Health.Status}}')
    if [ -n "$states" ] && ! grep -qv ' healthy$' <<<"$states"; then
        "${compose[@]}" ps
        exit 0
    fi
    sleep 1
done
echo "not all members became healthy:" >&2
echo "$states" >&2
exit 1
