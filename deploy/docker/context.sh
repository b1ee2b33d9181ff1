#!/usr/bin/env bash
# Prepares deploy/docker/context, the files of an image made FROM scratch: the binary that was built on this host, the
# libraries it is linked to, and the few files that a C library expects. Usage: context.sh [binary]
set -euo pipefail
cd "$(dirname "$0")/../.."

binary=${1:-${CARGO_TARGET_DIR:-target}/release/corral}
context=deploy/docker/context
user=1000 # as in ZooKeeper's official image

if [ ! -x "$binary" ]; then
    echo "$binary is not there: \`make build\` makes it" >&2
    exit 1
fi
rm -rf "$context"
files=$context/files
mkdir -p "$files/etc" "$files/tmp" "$context/empty"
chmod 1777 "$files/tmp"
strip -o "$files/corral" "$binary"
chmod 755 "$files/corral"

# Copies a library to the path where the loader looks for it, whatever it is a link to.
library() {
    mkdir -p "$files$(dirname "$1")"
    cp --dereference "$1" "$files$1"
}

# A static binary has no libraries; ldd says so on standard error.
libraries=$(ldd "$binary" 2>/dev/null | grep -oE '/[^ ]+' | sort -u || true)
for path in $libraries; do
    library "$path"
    # glibc resolves names itself since 2.34; before, by libraries that ldd does not see.
    case $path in
        */libc.so.*)
            for name in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2; do
                if [ -e "$(dirname "$path")/$name" ]; then library "$(dirname "$path")/$name"; fi
            done
            ;;
    esac
done

echo "hosts: files dns" > "$files/etc/nsswitch.conf"
printf '%s\n' "root:x:0:0:root:/:" "corral:x:$user:$user:corral:/data:" > "$files/etc/passwd"
printf '%s\n' "root:x:0:" "corral:x:$user:" > "$files/etc/group"

# What is copied into the image is readable by its user, whatever the umask here.
chmod -R a+rX "$files"
