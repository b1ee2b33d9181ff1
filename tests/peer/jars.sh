#!/usr/bin/env bash
# Fetches the jars of Apache ZooKeeper 3.9 and Curator once, and prints the folder that holds them.
#
# Debian's ZooKeeper is 3.8, and it has no Curator. PyPI has both, well hidden: pyspark is a download of 450 MB, of which
# we keep what a ZooKeeper member and a program with Curator's recipes load.
set -euo pipefail
cd "$(dirname "$0")"

jars=(
    zookeeper-3.9.5 zookeeper-jute-3.9.5
    curator-client-5.9.0 curator-framework-5.9.0 curator-recipes-5.9.0
    slf4j-api-2.0.17 log4j-slf4j2-impl-2.25.4 log4j-api-2.25.4 log4j-core-2.25.4
    metrics-core-4.2.37 snappy-java-1.1.10.8
    netty-buffer-4.2.13.Final netty-common-4.2.13.Final netty-handler-4.2.13.Final netty-transport-4.2.13.Final
    netty-resolver-4.2.13.Final netty-codec-base-4.2.13.Final
)
wanted=("${jars[@]/%/.jar}")
cache=${CORRAL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/corral}
folder=$cache/java-3.9.5

all_there() {
    local jar
    for jar in "${wanted[@]}"; do [ -s "$folder/$jar" ] || return; done
}

mkdir -p "$cache"
# Two tests that begin at once must not both fetch.
exec 9>"$folder.lock"
flock 9
if ! all_there; then
    echo "fetching Apache ZooKeeper 3.9.5 and Curator 5.9.0 out of pyspark, once: 450 MB" >&2
    work=$(mktemp -d "${TMPDIR:-/tmp}/corral-jars.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    python3 -m venv "$work/venv" >&2
    "$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-cache-dir --no-deps --no-binary :all: \
        --dest "$work" --requirement requirements.txt >&2
    # tar says which of them is not there, and then nothing is kept.
    mkdir "$work/jars"
    tar --extract --file "$work"/pyspark-*.tar.gz --directory "$work/jars" --strip-components 3 --no-same-owner \
        --wildcards "${wanted[@]/#/*/deps/jars/}"
    rm -rf "$folder"
    mv "$work/jars" "$folder"
fi
echo "$folder"
