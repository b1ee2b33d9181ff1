#!/usr/bin/env bash
# Installs the Debian packages that are missing: `packages.sh build` for what the build needs, `packages.sh test` for
# what the tests need besides. Does nothing, and asks for no rights, where everything is there.
set -euo pipefail

missing=()
need() { # need PACKAGE TEST...: the package, unless the test succeeds
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
# The C interface, which bindgen loads; libclang-cpp, which comes with LLVM's own tools, is another library.
has_libclang() { compgen -G '/usr/lib/llvm-*/lib/libclang[.-][!c]*' || ldconfig -p | grep -q 'libclang[.-][^c]'; }
has_venv() { python3 -c 'import venv, ensurepip'; }

need libclang-dev has_libclang
need protobuf-compiler command -v protoc
if [ "${1:-build}" = test ]; then
    need zookeeper test -x /usr/share/zookeeper/bin/zkCli.sh
    # The runtime comes with it.
    need default-jdk-headless command -v javac
    need python3-venv has_venv
    # The C client: its headers and its library.
    need libzookeeper-mt-dev test -e /usr/include/zookeeper/zookeeper.h
fi

[ ${#missing[@]} -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "these are missing, and this is no Debian to install them on: ${missing[*]}" >&2
    exit 1
fi
echo "installing ${missing[*]}" >&2
root=()
[ "$(id -u)" = 0 ] || root=(sudo)
export DEBIAN_FRONTEND=noninteractive
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
