#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./dev windows: libraries (once), programs, tests under Wine, build/windows/kdnetd-VERSION-x64.zip and .msi.
#
#   build.sh           all of it
#   build.sh packages  the same without the tests
#   build.sh programs  kdnetd.exe, kdnetctl.exe, kdnet-target.exe and the unit tests in build/windows
#   build.sh pack OUT  the .zip and the .msi of the programs that are built, in the folder OUT
#
# KDNETD_SIGN: a command that signs a file in place, called with its path: each program, then the .msi.
set -euo pipefail

here=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)
tree=$(cd -- "$here/../../.." && pwd)
readonly build=$tree/build/windows jobs=${KDNETD_WIN_JOBS:-2}
readonly programs=(kdnetd kdnetctl kdnet-target)

say() { printf 'windows: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    test $status -eq 0 || tail -n 60 "$log" >&2
    rm -f "$log"
    return $status
}

make_programs() {
    local started=$SECONDS launcher=()
    "$here/dependencies.sh" make
    KDNETD_WIN_PREFIX=$("$here/dependencies.sh" folder)
    export KDNETD_WIN_PREFIX
    # Another folder of libraries: what CMake remembers of the last one is of no use.
    if test -f "$build/CMakeCache.txt" && ! grep -qF "$KDNETD_WIN_PREFIX" "$build/CMakeCache.txt"; then
        rm -rf "$build"
    fi
    ! command -v ccache >/dev/null || launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:+$CCACHE_SLOPPINESS,}pch_defines,time_macros # compat.cmake
    quietly cmake -S "$tree" -B "$build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$here/toolchain.cmake" \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE="-O2 -g1 -DNDEBUG" -DBUILD_TESTING=ON -DKDNETD_WERROR=ON \
        "${launcher[@]}" || die "cmake could not configure build/windows"
    quietly nice cmake --build "$build" --parallel "$jobs" || die "build/windows does not build"
    say "programs and unit tests are built ($((SECONDS - started)) s)"
}

sign() { # FILE
    test -n "${KDNETD_SIGN:-}" || return 0
    # shellcheck disable=SC2086
    $KDNETD_SIGN "$1" >&2 || die "KDNETD_SIGN ($KDNETD_SIGN) could not sign ${1##*/}: no package is made"
}

stage() { # FOLDER
    local name
    mkdir -p "$1"
    for name in "${programs[@]}"; do
        x86_64-w64-mingw32-strip -o "$1/$name.exe" "$build/$name.exe"
        sign "$1/$name.exe"
    done
    cp "$tree/docs/windows.md" "$tree/docs/results.md" "$tree/config/targets.example" "$tree/config/events.schema.json" "$here/kdnetd.wxs" "$1"
    cp "$tree/config/kdnetd.windows.yaml.example" "$1/kdnetd.yaml.example"
    cp "$tree/LICENSE" "$1/LICENSE.txt"
}

# Both are whole before either is where one looks for it.
make_packages() { # OUT
    local out=$1 version name work
    version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")
    name=kdnetd-$version-x64 work=$out/package
    rm -rf "$work"
    stage "$work/$name"
    (
        cd "$work/$name"
        # wixl finds files by their names in the folder that it runs in.
        quietly wixl -a x64 -D VERSION="$version" -D FILES=. -o "../$name.msi" kdnetd.wxs || die "wixl could not make $name.msi"
        rm kdnetd.wxs
    )
    sign "$work/$name.msi"
    (cd "$work" && quietly zip -q -r "$name.zip" "$name") || die "zip could not make $name.zip"
    mv "$work/$name.zip" "$work/$name.msi" "$out"
    printf '%s\n' "$out/$name.zip" "$out/$name.msi"
}

case ${1:-} in
programs) make_programs ;;
packages)
    make_programs
    make_packages "$build"
    ;;
'')
    make_programs
    make_packages "$build"
    exec "${PYTHON:-python3}" -B "$tree/tests/windows/under_wine.py" "$build"
    ;;
pack)
    test -n "${2:-}" || die "pack needs a folder"
    make_packages "$(readlink -f -- "$2")"
    ;;
*) die "say nothing, packages, programs or pack" ;;
esac
