#!/usr/bin/env bash
# Compiles the C++ of RocksDB once for each version and compiler, and prints the folder that holds the archive.
#
# It is by far the longest part of a build (a quarter of an hour on two cores), and cargo would repeat it for every
# profile and every fresh clone. With ROCKSDB_LIB_DIR set to this folder it links the archive instead.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$(sed -n '/^name = "librocksdb-sys"$/{n;s/^version = "\(.*\)"$/\1/p}' Cargo.lock)
compiler=$("${CXX:-c++}" -dumpfullversion -dumpversion)
features=$(sed -n 's/^rocksdb = //p; s/^rustflags = //p' Cargo.toml .cargo/config.toml | cksum | cut -d' ' -f1)
cache=${CORRAL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/corral}
folder=$cache/rocksdb-${version//+/_}-c++$compiler-$(uname -m)-$features

if [ ! -s "$folder/librocksdb.a" ]; then
    echo "compiling RocksDB $version, once; this takes a while" >&2
    build=$(mktemp -d "${TMPDIR:-/tmp}/corral-rocksdb.XXXXXX")
    trap 'rm -rf "$build"' EXIT
    # Without debug information: it would be ten times as large, and every binary with it.
    env -u ROCKSDB_LIB_DIR -u ROCKSDB_STATIC CARGO_PROFILE_RELEASE_DEBUG=false \
        cargo build --quiet --locked --release -p librocksdb-sys --target-dir "$build" >&2
    mkdir -p "$folder"
    cp "$build"/release/build/librocksdb-sys-*/out/librocksdb.a "$folder/librocksdb.a.part"
    mv "$folder/librocksdb.a.part" "$folder/librocksdb.a"
fi
echo "$folder"
