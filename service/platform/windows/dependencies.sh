#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the libraries that kdnetd.exe is linked with, from Debian's source packages, into one folder.
#
#   dependencies.sh folder   says which folder holds them: named by a hash of this script, the checksums and the compiler
#   dependencies.sh make     makes them when that folder does not have them yet
#   dependencies.sh have     succeeds when it has them
#
# KDNETD_WIN_CACHE: where the folder and the sources are kept (default: /var/cache/kdnetd-win, or, when that cannot be
# written, kdnetd-win in the user's cache).
set -euo pipefail

here=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" && pwd)
readonly host=x86_64-w64-mingw32 sums=$here/sources.sha256 jobs=${KDNETD_WIN_JOBS:-2}
readonly cc=$host-gcc-posix ar=$host-gcc-ar-posix
readonly order=(openssl libevent) order_beside=(sqlite libuv jansson libyaml zlib xz libmspack cmocka libpcap curl)

say() { printf 'windows: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# Where things are

find_cache() {
    local folder=${KDNETD_WIN_CACHE:-}
    if test -n "$folder"; then
        printf '%s\n' "$folder"
    elif test -w /var/cache || test -w /var/cache/kdnetd-win; then
        echo /var/cache/kdnetd-win
    else
        printf '%s/kdnetd-win\n' "${XDG_CACHE_HOME:-$HOME/.cache}"
    fi
}

folder() {
    local hash
    hash=$({
        cat "$here/dependencies.sh" "$here/toolchain.cmake" "$sums"
        "$cc" --version 2>/dev/null || echo "no $cc"
    } | sha256sum | cut -c 1-16)
    printf '%s/%s\n' "$(find_cache)" "$hash"
}

# The sources

# apt-get with the source packages' lists in a folder of their own: the system's stay as they are.
private_apt() {
    apt-get -q -o Acquire::Retries=3 -o Dir::Etc::SourceList="$cache/apt/debian.sources" -o APT::Sandbox::User="$(id -un)" \
        -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$cache/apt/lists" -o Dir::Cache="$cache/apt/cache" "$@"
}

update_lists() {
    test -z "${updated:-}" || return 0
    updated=yes
    mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial"
    cat >"$cache/apt/debian.sources" <<'END'
Types: deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb-src
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
    private_apt update >"$cache/apt/log" 2>&1 || say "the lists of source packages did not come: $(tail -n 1 "$cache/apt/log")"
}

matches() { # FILE SHA256
    test -f "$1" && test "$(sha256sum <"$1" | cut -d ' ' -f 1)" = "$2"
}

# Of the versions that Debian has, the one with that upstream tarball.
download() { # PACKAGE FILE
    local version upstream=${2#*_}
    upstream=${upstream%.orig.tar.*}
    update_lists
    while IFS= read -r version; do
        (cd "$cache/sources" && private_apt source --download-only --tar-only "$1=$version") >>"$cache/apt/log" 2>&1 &&
            return
    done < <(apt_versions "$1" "$upstream")
    return 1
}

apt_versions() { # PACKAGE UPSTREAM
    apt-cache -o Dir::Etc::SourceList="$cache/apt/debian.sources" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$cache/apt/lists" -o Dir::Cache="$cache/apt/cache" showsrc --only-source "$1" 2>/dev/null |
        sed -n 's/^Version: //p' | sort -rVu | grep -F -- "$2-" || true
}

# Says where the source of a package is, fetched when it is not there.
source_of() { # PACKAGE
    local sum package file pinned=()
    while read -r sum package file; do
        [[ $package == "$1" ]] || continue
        pinned+=("$file, SHA-256 $sum")
        matches "$cache/sources/$file" "$sum" || download "$package" "$file" || continue
        if matches "$cache/sources/$file" "$sum"; then
            printf '%s\n' "$cache/sources/$file"
            return
        fi
        rm -f "${cache:?}/sources/$file"
    done < <(grep -v '^#' "$sums")
    say "the source of $1 did not come, or is another one; it is pinned to: $(printf '%s; ' "${pinned[@]}")"
    say "put that file into $cache/sources, or pin a newer one in service/platform/windows/sources.sha256"
    return 1
}

# Building. Each function is called in an empty folder of its own, with the name of its source.

unpack() { tar xf "$1" --strip-components 1; }

# A pkg-config file.
describe() { # NAME VERSION LIBS [CFLAGS]
    # shellcheck disable=SC2016
    printf 'Name: %s\nDescription: %s\nVersion: %s\nLibs: -L${pcfiledir}/.. %s\nCflags: -I${pcfiledir}/../../include %s\n' \
        "$1" "$1" "$2" "$3" "${4:-}" >"$made/lib/pkgconfig/$1.pc"
}

configure() {
    KDNETD_WIN_PREFIX=$made cmake -S . -B b -G Ninja -DCMAKE_TOOLCHAIN_FILE="$here/toolchain.cmake" \
        -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$made" -DBUILD_SHARED_LIBS=OFF "$@"
}

# Compiles files into a static library.
library() { # NAME FLAGS... -- FILES...
    local name=$1 flags=()
    shift
    while [[ $1 != -- ]]; do
        flags+=("$1")
        shift
    done
    shift
    # shellcheck disable=SC2016
    printf '%s\n' "$@" | xargs -P "$jobs" -I {} sh -c '"$@" -c "{}" -o "$(echo "{}" | tr / _).o"' \
        sh "$cc" -O2 -w "${flags[@]}"
    "$ar" rcs "$made/lib/lib$name.a" ./*.o
}

# Compiles a header that sources include first, beside it: Windows' headers take most of the time of each.
ahead() { # HEADER FLAGS...
    local header=$1
    shift
    "$cc" -O2 -w "$@" -x c-header "$header" -o "$header.gch"
}

# Its CMakeLists.txt would try for longer what this system has than it compiles.
build_libuv() {
    local flags=(-D_WIN32_WINNT=0x0602 -DWIN32_LEAN_AND_MEAN -fno-strict-aliasing
        -Iinclude -Isrc)
    unpack "$1"
    ahead include/uv.h "${flags[@]}"
    library uv "${flags[@]}" -include include/uv.h -- src/*.c src/win/*.c
    rm include/uv.h.gch
    cp -r include/* "$made/include"
    describe libuv 1.44.2 "-luv -lpsapi -luser32 -ladvapi32 -liphlpapi -luserenv -lws2_32 -ldbghelp -lole32"
}

# With what kdnetd calls, AES, SHA-2, HMAC, random bytes, and what TLS 1.2 and 1.3 want of today's clients.
build_openssl() {
    local version without=(shared tests dso engine legacy comp dtls cmp cms ct ts srp psk idea seed camellia aria bf cast
        rc2 rc4 md4 mdc2 rmd160 whirlpool sm2 sm3 sm4 siphash ocsp gost ui-console deprecated dh dsa chacha poly1305
        blake2 des scrypt rfc3779 autoload-config multiblock)
    unpack "$1"
    version=$(sed -n 's/^MAJOR=//p; s/^MINOR=/./p; s/^PATCH=/./p' VERSION.dat | tr -d '\n')
    CC=gcc-posix AR=gcc-ar-posix RANLIB=gcc-ranlib-posix ./Configure mingw64 --cross-compile-prefix="$host-" \
        "${without[@]/#/no-}" --prefix="$prefix"
    make -s -j"$jobs" build_generated
    make -s -j"$jobs" libcrypto.a libssl.a
    cp libcrypto.a libssl.a "$made/lib"
    cp -r include/openssl "$made/include"
    rm -f "$made"/include/openssl/*.in
    describe libcrypto "$version" "-lcrypto -lws2_32 -lcrypt32 -lgdi32"
}

build_jansson() {
    unpack "$1"
    configure -DJANSSON_BUILD_DOCS=OFF -DJANSSON_WITHOUT_TESTS=ON -DJANSSON_EXAMPLES=OFF
    ninja -C b -j "$jobs" install
    describe jansson 2.14 -ljansson
}

build_libyaml() {
    unpack "$1"
    library yaml -DYAML_DECLARE_STATIC -DYAML_VERSION_MAJOR=0 -DYAML_VERSION_MINOR=2 -DYAML_VERSION_PATCH=5 \
        '-DYAML_VERSION_STRING="0.2.5"' -Iinclude -- src/*.c
    cp include/yaml.h "$made/include"
    describe yaml-0.1 0.2.5 -lyaml -DYAML_DECLARE_STATIC
}

# Debian has it ready: libz-mingw-w64-dev.
build_zlib() {
    cp "/usr/$host/include/zlib.h" "/usr/$host/include/zconf.h" "$made/include"
    cp "/usr/$host/lib/libz.a" "$made/lib"
    describe zlib "$(sed -n 's/^#define ZLIB_VERSION "\(.*\)"/\1/p' "/usr/$host/include/zlib.h")" -lz
}

# The decoder alone.
build_xz() {
    local l=src/liblzma
    unpack "$1"
    {
        printf '#define HAVE_%s 1\n' STDINT_H STDBOOL_H INTTYPES_H _BOOL DECODERS DECODER_LZMA2 DECODER_LZMA1 \
            DECODER_X86 DECODER_DELTA CHECK_CRC32 CHECK_CRC64 CHECK_SHA256
        printf '#define %s\n' 'HAVE_VISIBILITY 0' 'SIZEOF_SIZE_T 8' 'NDEBUG 1' 'ASSUME_RAM 128' \
            'PACKAGE_BUGREPORT "-"' 'PACKAGE_NAME "xz"' 'PACKAGE_URL "-"' 'TUKLIB_FAST_UNALIGNED_ACCESS 1'
    } >config.h
    library lzma -std=gnu11 -DHAVE_CONFIG_H -DTUKLIB_SYMBOL_PREFIX=lzma_ -I. -Isrc/common \
        -I$l/{api,common,check,lz,rangecoder,lzma,delta,simple} -- \
        $l/common/{common,block_util,filter_common,index_hash,stream_flags_common,vli_size,hardware_physmem,index}.c \
        $l/common/{block_decoder,block_header_decoder,filter_decoder,filter_flags_decoder,stream_decoder}.c \
        $l/common/{stream_flags_decoder,vli_decoder,easy_preset,alone_decoder,auto_decoder,lzip_decoder}.c \
        $l/common/{block_buffer_decoder,stream_buffer_decoder}.c \
        $l/check/{check,crc32_table,crc32_fast,crc64_table,crc64_fast,sha256}.c $l/lz/lz_decoder.c \
        $l/lzma/{lzma_decoder,lzma2_decoder,lzma_encoder_presets}.c $l/simple/{simple_coder,simple_decoder,x86}.c \
        $l/delta/{delta_common,delta_decoder}.c
    cp -r $l/api/lzma* "$made/include"
    describe liblzma 5.4.1 -llzma -DLZMA_API_STATIC
}

# _FILE_OFFSET_BITS must be the same here and in what uses it: off_t is in its interface.
build_libmspack() {
    unpack "$1"
    cd mspack
    printf '#define %s\n' 'HAVE_INTTYPES_H 1' 'HAVE_STDLIB_H 1' 'HAVE_STRING_H 1' 'HAVE_SYS_TYPES_H 1' \
        'HAVE_FSEEKO 0' 'SIZEOF_OFF_T 4' 'VERSION "0.11"' >config.h
    library mspack -DHAVE_CONFIG_H -I. -- system.c cabd.c lzxd.c mszipd.c qtmd.c
    cp mspack.h "$made/include"
    describe libmspack 0.11 -lmspack
}

build_cmocka() {
    unpack "$1"
    printf '#define %s\n' 'HAVE_INTTYPES_H 1' 'HAVE_STDINT_H 1' 'HAVE_MALLOC_H 1' 'HAVE_IO_H 1' 'HAVE_STRDUP 1' \
        'HAVE_STRCMPI 1' 'HAVE_SNPRINTF 1' 'HAVE_VSNPRINTF 1' >config.h
    library cmocka -D__USE_MINGW_ANSI_STDIO=1 -DHAVE_CONFIG_H -I. -Iinclude -- src/cmocka.c
    cp include/cmocka.h "$made/include"
    describe cmocka 1.1.5 -lcmocka
}

# Files alone: no capturing, and no compiler of filters, which would need flex and bison.
build_libpcap() {
    unpack "$1"
    printf '#define %s\n' 'HAVE_STDINT_H 1' 'HAVE_STRERROR 1' 'HAVE_STRTOK_R 1' 'HAVE_ASPRINTF 1' 'HAVE_VASPRINTF 1' \
        'HAVE_SNPRINTF 1' 'PACKAGE_NAME "pcap"' 'PACKAGE_VERSION "1.10.3"' 'PACKAGE_STRING "pcap 1.10.3"' >config.h
    cat >no_filters.c <<'END'
#include "config.h"
#include "pcap-int.h"
void pcap_freecode(struct bpf_program *program) { (void)program; }
int install_bpf_program(pcap_t *p, struct bpf_program *program) { (void)p; (void)program; return -1; }
END
    library pcap -D_GNU_SOURCE -DHAVE_CONFIG_H -DBUILDING_PCAP '-D_U_=__attribute__((unused))' -I. -- savefile.c \
        sf-pcap.c sf-pcapng.c pcap-common.c fmtutils.c pcap.c pcap-null.c pcap-util.c pcap-usb-linux-common.c \
        charconv.c bpf_filter.c no_filters.c
    cp pcap.h "$made/include"
    cp -r pcap "$made/include"
    describe libpcap 1.10.3 "-lpcap -lws2_32"
}

# HTTP and HTTPS by Windows' own TLS, with its store of certificates.
build_curl() {
    local flags=(-DBUILDING_LIBCURL -DCURL_STATICLIB -DUSE_SCHANNEL -DUSE_WINDOWS_SSPI -DHTTP_ONLY -DENABLE_IPV6
        -DCURL_DISABLE_COOKIES -DCURL_DISABLE_DOH -DCURL_DISABLE_ALTSVC -DCURL_DISABLE_HSTS -DCURL_DISABLE_NETRC
        -DHAVE_LIBZ -DHAVE_ZLIB_H -D_WIN32_WINNT=0x0A00 -I../include -I. "-I$made/include")
    unpack "$1"
    cd lib
    ahead curl_setup.h "${flags[@]}"
    # shellcheck disable=SC2046
    library curl "${flags[@]}" -- $(printf '%s\n' *.c vauth/*.c vquic/*.c vtls/*.c | grep -v '^curl_path')
    cp -r ../include/curl "$made/include"
    describe libcurl 7.88.1 "-lcurl -lz -lws2_32 -lcrypt32 -lbcrypt -lsecur32 -ladvapi32" -DCURL_STATICLIB
}

# With the configuration that its sources bring for Windows, instead of CMake's many tries; without its HTTP and DNS.
build_libevent() {
    local flags=(-DHAVE_CONFIG_H -D_WIN32_WINNT=0x0A00 -DWIN32_LEAN_AND_MEAN -IWIN32-Code/nmake -Iinclude -Icompat -I.
        "-I$made/include")
    unpack "$1"
    printf '#define EVENT__HAVE_%s 1\n' STDINT_H INTTYPES_H STRTOK_R SYS_TIME_H UINT8_T UINT16_T UINT32_T UINT64_T OPENSSL \
        >>WIN32-Code/nmake/event2/event-config.h
    printf '#include <%s>\n' winsock2.h ws2tcpip.h windows.h >windows_ahead.h
    ahead windows_ahead.h "${flags[@]}"
    library event "${flags[@]}" -include windows_ahead.h -- event.c buffer.c bufferevent.c bufferevent_sock.c bufferevent_pair.c \
        bufferevent_filter.c bufferevent_ratelim.c bufferevent_openssl.c listener.c evmap.c log.c evutil.c \
        evutil_rand.c evutil_time.c strlcpy.c signal.c evthread.c evthread_win32.c buffer_iocp.c bufferevent_async.c \
        event_iocp.c win32select.c
    cp -r include/* WIN32-Code/nmake/event2 "$made/include"
    describe libevent_core 2.1.12 "-levent -lws2_32 -liphlpapi -lshell32 -ladvapi32"
    describe libevent_openssl 2.1.12 "-levent -lssl -lcrypto -lws2_32 -lcrypt32"
}

# The one file of all sources is made by this computer's own compiler and tclsh.
build_sqlite() {
    unpack "$1"
    ./configure --disable-tcl --disable-readline --disable-load-extension
    make -s sqlite3.c
    library sqlite3 -DSQLITE_THREADSAFE=1 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_DQS=0 -I. -- sqlite3.c
    cp sqlite3.h "$made/include"
    describe sqlite3 3.40.1 -lsqlite3
}

package_of() { # of what is built here: Debian's name of its source
    case $1 in
    libuv) echo libuv1 ;;
    xz) echo xz-utils ;;
    sqlite) echo sqlite3 ;;
    *) echo "$1" ;;
    esac
}

build_one() { # NAME
    local name=$1 source='' started=$SECONDS worker
    test "$name" = zlib || source=$(source_of "$(package_of "$name")") || exit 1
    rm -rf "${work:?}/$name"
    mkdir -p "$work/$name"
    (
        cd "$work/$name"
        "build_$name" "$source"
    ) >"$work/$name.log" 2>&1 </dev/null & # not after `if`: bash would go on behind a command that fails
    worker=$!
    if ! wait $worker; then
        tail -n 30 "$work/$name.log" >&2
        die "$name does not build; all it said is in $work/$name.log"
    fi
    rm -rf "${work:?}/$name"
    say "$name ($((SECONDS - started)) s)"
}

# One after the other; those that were made before a run was ended stay.
build_some() { # NAME...
    local name
    for name in "$@"; do
        test -f "$made/.$name" && continue
        build_one "$name"
        : >"$made/.$name"
    done
}

# In two lines, for some have one large file, and scripts that run alone: openssl takes as long as all that do not need it.
make_all() {
    local name rest
    mkdir -p "$cache/sources"
    for name in "${order[@]}" "${order_beside[@]}"; do
        test "$name" = zlib || source_of "$(package_of "$name")" >/dev/null || exit 1
    done
    build_some "${order_beside[@]}" &
    rest=$!
    build_some "${order[@]}"
    wait $rest || exit 1
    mv "$made" "$prefix"
    rm -rf "$work"
}

cache=$(find_cache)
prefix=$(folder)
case ${1:-} in
folder) printf '%s\n' "$prefix" ;;
have) test -f "$prefix/lib/pkgconfig/sqlite3.pc" ;;
make)
    command -v "$cc" >/dev/null || die "$cc is missing: install gcc-mingw-w64-x86-64-posix"
    mkdir -p "$cache" || die "the cache $cache cannot be made; say where with KDNETD_WIN_CACHE"
    work=$prefix.work made=$prefix.work/made
    exec 9>"$cache/.lock"
    flock 9
    test ! -d "$prefix" || exit 0
    mkdir -p "$made/include" "$made/lib/pkgconfig"
    say "making the libraries for Windows in $prefix (3 minutes on two processors, once)"
    make_all
    ;;
*) die "say folder, have or make" ;;
esac
