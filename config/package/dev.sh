# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ./dev package, and builds for another architecture: read by dev.

# Another architecture: Debian's cross compiler, and development files in build/cross-ARCHITECTURE/sysroot. Nothing of the
# other architecture is installed here.

# Sets triplet, as gcc is called, and multiarch, as the folder of libraries is called.
find_triplet() { # ARCHITECTURE
    need dpkg-dev
    triplet=$(dpkg-architecture -a "$1" -q DEB_HOST_GNU_TYPE 2>/dev/null) || triplet=
    multiarch=$(dpkg-architecture -a "$1" -q DEB_HOST_MULTIARCH 2>/dev/null) || multiarch=
    [[ $triplet == *-linux-gnu* ]] || wrong "'$1' is none of Debian's architectures for Linux, such as arm64"
}

make_sysroot() { # ARCHITECTURE
    local folder=build/cross-$1/sysroot packages=() package
    for package in "${packages_build[@]}" libcmocka-dev; do
        [[ $package != *-dev ]] || packages+=("$package")
    done
    test "$(cat "$folder/made" 2>/dev/null)" != "$tree ${packages[*]}" || return 0
    say "fetching development files of $1 into $folder"
    quietly config/package/sysroot "$1" "$folder" "${packages[@]}" ||
        die "the package sources of this system have no such files for $1, or cannot be reached"
    echo "$tree ${packages[*]}" >"$folder/made"
}

make_cross() { # ARCHITECTURE [--target NAME...]
    local architecture=$1
    shift
    make_sysroot "$architecture"
    make_preset release "cross-$architecture/build" -DBUILD_TESTING=ON "${package_options[@]}" \
        "-DCMAKE_TOOLCHAIN_FILE=$tree/config/package/cross.cmake" "-DKDNETD_CROSS_TRIPLET=$triplet" \
        "-DKDNETD_CROSS_MULTIARCH=$multiarch" "-DKDNETD_CROSS_ROOT=$tree/build/cross-$architecture/sysroot/root" "$@"
}

# What `cmake --install` installs, as an archive and as Debian packages.
# Kafka was tried with no real broker, and takes more libraries: KDNETD_KAFKA=ON has it in the package.
package_options=("-DKDNETD_KAFKA=${KDNETD_KAFKA:-OFF}" -DKDNETD_HARDENED=ON -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_INSTALL_SYSCONFDIR=/etc
    "-DCMAKE_C_FLAGS=${CPPFLAGS:-} ${CFLAGS:-}"
    "-DCMAKE_EXE_LINKER_FLAGS=${LDFLAGS:-}" "-DCMAKE_SHARED_LINKER_FLAGS=${LDFLAGS:-}")

package() {
    [[ $# -eq 0 || ($# -eq 2 && $1 == --cross) ]] || wrong "package takes --cross ARCHITECTURE or nothing, not '$*'"
    if test $# -eq 0; then
        need "${packages_build[@]}" dpkg-dev file
        lock package make_package
    else
        find_triplet "$2"
        need "${packages_build[@]}" file "gcc-${triplet//_/-}"
        lock package make_cross_package "$2"
    fi
}

make_package() {
    make_preset release package -DBUILD_TESTING=OFF "${package_options[@]}"
    pack package "$(dpkg --print-architecture)" "$(uname -m)"
}

make_cross_package() { # ARCHITECTURE
    make_cross "$1" --target kdnetd kdnetctl kdnet-target kdnet kdnet_shared
    STRIP=$triplet-strip pack "cross-$1/build" "$1" "${triplet%%-*}" "build/cross-$1/sysroot"
}

# The time of all files of the packages.
package_time() {
    printf '%s\n' "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}"
}

pack() { # BUILD FOLDER, ARCHITECTURE, PROCESSOR [SYSROOT]
    local build=build/$1 architecture=$2 version folder when
    version=$(sed -n 's/^CMAKE_PROJECT_VERSION:STATIC=//p' "$build/CMakeCache.txt")
    when=$(package_time)
    folder=kdnetd-$version-linux-$3
    rm -rf build/package/*_"$architecture".deb "build/package/$folder.tar.gz" "$build/stage"
    mkdir -p build/package
    DESTDIR=$tree/$build/stage quietly cmake --install "$build" || die "$build cannot be installed"
    config/package/make "$build/stage" "$version" "$architecture" "$when" build/package "${@:4}" ||
        die "the packages cannot be made"
    tar -C "$build/stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$when" \
        --transform "s|^\.|$folder|" -cf - . | gzip -9n >"build/package/$folder.tar.gz"
    check_package "$architecture"
    find "$tree/build/package" -maxdepth 1 \( -name "*_$architecture.deb" -o -name "$folder.tar.gz" \) -print | sort
}

check_package() { # ARCHITECTURE
    command -v lintian >/dev/null || return 0
    quietly lintian --no-cfg --fail-on error --allow-root build/package/*_"$1".deb || die "lintian finds errors"
}
