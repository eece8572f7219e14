# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# ./dev test and ./dev coverage: read by dev.

# Words to put before a program made with these sanitizers so that it runs here, if any; fails when nothing helps. Some
# kernels scatter memory more widely than the sanitizers of gcc 12 can bear.
sanitizer_prefix() { # -fsanitize=...
    local folder status=1
    folder=$(mktemp -d)
    echo 'int main(void) { return 0; }' >"$folder/x.c"
    if gcc "$1" -o "$folder/x" "$folder/x.c" 2>/dev/null; then
        if test "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -le 28 && "$folder/x" 2>/dev/null; then
            status=0
        elif setarch -R "$folder/x" 2>/dev/null; then
            echo 'setarch -R'
            status=0
        elif "$folder/x" 2>/dev/null; then
            status=0
        fi
    fi
    rm -rf "$folder"
    return $status
}

# These wait, measure nothing, and do one thing after the other: two of them a processor.
waiting='soak/|sinks/|fleet/(publish|cluster|reader|credentials)|http/|symbols_server/|service/(daemon|store_[a-z]+)$'
waiting+='|demo/(once|screen)|e2e/(acting|deaf|end|faults|garbage|hints|identity|inherited|leftovers|listeners|lives|network'
waiting+='|policy|publishing|recordings|replay|restart|silence|sinks|stall|strangers)$'
# What would run alone at the end if it did not begin first: the tests under Wine go one after the other.
long='windows/|model/|house/(tidy|options)|e2e/(neighbours|matrix)$|kdnetctl/(client|exit_status)$|symbols/kdnetctl$|http/page$'

# One list of all tests, PRESET/ROOM/NAME, so that one ctest runs them and one summary counts them: the lists of the
# build folders, read with commands that put the preset before each name. There are two places a processor and one more:
# a test that mostly waits takes one, each other takes two and begins first, so that a test that waits goes beside.
list_tests() { # FOLDER OF THE LIST, PRESET:REGEX[:REGEX OF WHAT IS LEFT OUT]...
    local folder=build/$1 list preset only but command
    shift
    mkdir -p "$folder"
    {
        printf 'set(waiting "^[a-z]+/(%s)")\nset(long "^[a-z]+/(%s)")\n' "$waiting" "$long"
        for command in add_test set_tests_properties; do
            sed "s/COMMAND/$command/" <<'END'
function(COMMAND name)
  if(NOT "${preset}/${name}" MATCHES "${only}" OR "${preset}/${name}" MATCHES "${but}")
    return()
  endif()
  set(arguments "")
  math(EXPR last "${ARGC} - 1")
  foreach(i RANGE 1 ${last}) # an argument that is a list stays one argument
    string(REPLACE ";" "\\;" argument "${ARGV${i}}")
    list(APPEND arguments "${argument}")
  endforeach()
  _COMMAND("${preset}/${name}" ${arguments})
  if("COMMAND" STREQUAL "add_test" AND "${preset}/${name}" MATCHES "/soak/short$")
    set_tests_properties("${name}" PROPERTIES COST 3000)
  elseif("COMMAND" STREQUAL "add_test" AND "${preset}/${name}" MATCHES "${long}")
    set_tests_properties("${name}" PROPERTIES PROCESSORS 2 COST 2500)
  elseif("COMMAND" STREQUAL "add_test" AND "${preset}/${name}" MATCHES "${waiting}")
    set_tests_properties("${name}" PROPERTIES COST 1000)
  elseif("COMMAND" STREQUAL "add_test")
    set_tests_properties("${name}" PROPERTIES PROCESSORS 2 COST 2000)
  endif()
endfunction()
END
        done
        for list in "$@"; do
            IFS=: read -r preset only but <<<"$list"
            printf 'set(preset %s)\nset(only "^%s")\nset(but "^%s")\nsubdirs("%s")\n' "$preset" "$only" \
                "${but:-nothing}" "$tree/build/$preset"
        done
        printf 'set(preset tree)\nset(only "")\nset(but "^nothing")\n'
        ! has_formatter || printf 'add_test(format "%s" format --check)\n' "$tree/dev"
        ! command -v shellcheck >/dev/null ||
            printf 'add_test(shellcheck shellcheck -x -P "%s" %s)\n' "$tree" "$(printf '"%s" ' "${scripts[@]/#/$tree/}")"
    } >"$folder/CTestTestfile.cmake"
}

# unpack PACKAGE PATH VARIABLE: a server for tests. Its package is unpacked in build/, not installed, for that would start
# a service on its usual port. Without it the tests that need it say that they are skipped.
unpack() {
    local package=$1 program=$tree/build/$1$2 variable=$3
    command -v "${2##*/}" >/dev/null && return
    if ! test -x "$program" && command -v apt-get >/dev/null; then
        rm -rf "build/$package"
        mkdir -p "build/$package"
        (
            cd "build/$package"
            quietly apt-get -q -o Acquire::Retries=3 download "$package" && dpkg-deb -x "$package"_*.deb .
        ) || say "$package could not be fetched: the tests with it are left out"
    fi
    if "$program" -v >/dev/null 2>&1; then
        export "$variable=$program"
    fi
}

unpack_servers() {
    unpack nginx /usr/sbin/nginx KDNETD_NGINX
    unpack nats-server /usr/sbin/nats-server KDNETD_NATS_SERVER
}

# The programs for Windows are tested where their libraries have been made once (./dev windows), and wine is there.
make_windows() {
    local only=${regex[0]:-windows}
    [[ "release/windows/units" =~ $only || $only == *windows* ]] || return 0
    if service/platform/windows/dependencies.sh have 2>/dev/null && command -v wine >/dev/null &&
        command -v wixl >/dev/null; then
        lock windows service/platform/windows/build.sh packages >/dev/null || die "build/windows does not build"
    else
        say "the programs for Windows are left out: ./dev windows makes their libraries, once"
    fi
}

run_tests() {
    local prefix=() words options=(--output-on-failure --no-tests=error --no-label-summary --timeout 3600)
    # What mostly waits for real clocks, or for the programs that it starts, runs once, where memory is watched. Where the
    # optimised programs could differ, or are loaded with what sanitizers do not bear, it runs with those too. A sanitizer
    # has nothing to say of scripts, models and measures, and sees the code of e2e/think and matrix in session/, that of
    # symbols/kdnetctl in symbols/ and fuzz/, that of soak/short and of fleets whose halts are measured in session/, service/
    # and e2e/; of what floods kdnetd and of hundreds of command lines it sees a part, and keeps 32 MB of what is freed.
    local once='sinks/|fleet/(publish|cluster|reader|trust|credentials)|symbols_server/|service/daemon'
    once+='|kdnetctl/(client|doctor|files)$|http/([^p]|paced)'
    once+='|e2e/(acting|command_line|deaf|garbage|hints|identity|leftovers|listeners|lives'
    once+='|network|operator|policy|publishing|recordings|restart|silence|sinks|stall|strangers|symbol_servers|symbols|upgrade)$'
    local lists=("release:release/:release/($once)"
        'asan:asan/:asan/(soak/short|model|house|systemd|bench|e2e/(end|think|herd|matrix)|demo/|fleet/(anycast|ending|failover|hints|silent|two)|http/page|symbols/kdnetctl)')
    local threads=(event_log locals lookup mailbox store_events store_crashes store_files store_retain) # tests/service/test_X.c that start threads
    export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:quarantine_size_mb=32}
    test "${#regex[@]}" -eq 0 || options+=(-R "${regex[0]}")
    lock release make_preset release release -DBUILD_TESTING=ON
    lock asan make_preset asan asan -DBUILD_TESTING=ON
    words=$(sanitizer_prefix -fsanitize=address) || die "programs with ASan do not run on this system"
    read -ra prefix <<<"$words"
    if words=$(sanitizer_prefix -fsanitize=thread); then
        lock tsan make_preset tsan tsan -DBUILD_TESTING=ON --target kdnetd kdnetctl kdnet-target \
            "${threads[@]/#/test_service_}" test_symbols_names
        local names=${threads[*]}
        lists+=("tsan:tsan/(service/(${names// /|})\$|symbols/names\$|e2e/workers|demo/once)")
        test -z "$words" || read -ra prefix <<<"$words"
    else
        say "programs with TSan do not run on this system: left out"
    fi
    unpack_servers
    make_windows
    list_tests test "${lists[@]}"
    "${prefix[@]}" ctest --test-dir build/test --parallel $((2 * jobs + 1)) "${options[@]}" </dev/null
}

# The package in a Debian of its own, under its systemd: as root, for it is a container. Of another Debian than this one
# the package is built in a container, too.
test_systemd() { # [SUITE]
    local suite=${1:-bookworm} package
    test "$(id -u)" -eq 0 || die "test --systemd starts a container: run it as root"
    need "${packages_build[@]}" dpkg-dev file mmdebstrap systemd-container
    if grep -qx "VERSION_CODENAME=$suite" /etc/os-release; then
        lock package make_package >/dev/null
        package=$(find build/package -maxdepth 1 -name 'kdnetd_*.deb' -name "*_$(dpkg --print-architecture).deb" -print -quit)
    else
        make_package_of "$suite"
        package=$(find "$suite_root/src/build/package" -maxdepth 1 -name 'kdnetd_*.deb' -print -quit)
    fi
    "$python" -B tests/systemd/real.py --suite "$suite" "$package"
}

# Sets suite_root: where its src/ is built.
make_package_of() { # SUITE
    local packages=(cmake dpkg-dev file "${packages_build[@]}")
    suite_root=/var/cache/kdnetd-test/$1-build
    if ! test -e "$suite_root/made"; then
        say "making a Debian $1 to build in"
        rm -rf "$suite_root"
        mkdir -p "${suite_root%/*}"
        quietly mmdebstrap --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" "$1" "$suite_root" ||
            die "no Debian $1 could be made"
        touch "$suite_root/made"
    fi
    mkdir -p "$suite_root/src"
    tar --exclude=./build --exclude=./.git -cf - . | tar -x -C "$suite_root/src"
    say "building the package in it"
    systemd-nspawn -q --register=no --keep-unit --pipe -D "$suite_root" env DEV_NO_INSTALL=1 \
        SOURCE_DATE_EPOCH="$(package_time)" /src/dev package >/dev/null || die "the package does not build on Debian $1"
}

# The packages, made here and from a copy of the tree in another folder.
test_package() {
    local scratch file link
    need "${packages_build[@]}" dpkg-dev file
    lock package make_package >/dev/null
    scratch=$(mktemp -d)
    mkdir -p "$scratch/another/place"
    tar --exclude=./build --exclude=./.git -cf - . | tar -x -C "$scratch/another/place"
    SOURCE_DATE_EPOCH=$(package_time) CCACHE_DISABLE=1 "$scratch/another/place/dev" package >/dev/null
    for file in build/package/*_"$(dpkg --print-architecture)".deb; do
        cmp "$file" "$scratch/another/place/$file" || die "${file##*/} has other bytes from another folder; left in $scratch"
        say "${file##*/} is the same from two folders"
    done
    rm -rf "$scratch"
    export DEB_BUILD_MAINT_OPTIONS='hardening=+all optimize=+lto'
    link="$(dpkg-buildflags --get LDFLAGS) -Werror -Wl,--fatal-warnings"
    lock debian make_preset release debian -DBUILD_TESTING=OFF -DKDNETD_HARDENED=ON \
        "-DCMAKE_C_FLAGS=$(dpkg-buildflags --get CPPFLAGS) $(dpkg-buildflags --get CFLAGS)" \
        "-DCMAKE_EXE_LINKER_FLAGS=$link" "-DCMAKE_SHARED_LINKER_FLAGS=$link" \
        -DCMAKE_C_COMPILER_AR="$(command -v gcc-ar)" -DCMAKE_C_COMPILER_RANLIB="$(command -v gcc-ranlib)"
    say "no warning with Debian's flags and optimisation at link time"
}

# The faults of a fleet. A regular expression for the tests of that room: fleet/.
test_fleet() {
    test $# -eq 0 || wrong "test fleet takes nothing more"
    need "${packages_build[@]}" "${packages_test[@]}"
    lock release make_preset release release -DBUILD_TESTING=ON --target kdnetd kdnetctl kdnet-target sinks_feeder \
        test_session_two_hosts
    unpack_servers
    "$python" -B tests/fleet/play.py --programs build/release
}

# By qemu-user, which needs no binfmt_misc: the demo gets scripts that call it. Tests that play thousands of lives would
# take most of an hour there, and say nothing of a processor that the shorter ones do not.
test_cross() { # ARCHITECTURE
    local folder=build/cross-$1 program qemu
    find_triplet "$1"
    need "${packages_build[@]}" "gcc-${triplet//_/-}" qemu-user-static
    lock "cross-$1" make_cross "$1" --target kdnetd kdnetctl kdnet-target kdnet_tests config_tests session_tests \
        capture_tests kdnet-target_tests test_symbols_cab test_service_event_json test_service_event_crash
    qemu=$(sed -n 's/^KDNETD_QEMU:FILEPATH=//p' "$folder/build/CMakeCache.txt")
    [[ $qemu == /* ]] || die "there is no qemu-user for $1"
    ctest --test-dir "$folder/build" -L '^unit$' -E '^session/(lives|cuts|lossy|offers|restart|think_time|two_hosts)$' \
        -R '^((kdnet|config|session|capture|kdnet-target)/|symbols/cab$|service/event_(json|crash)$)' --parallel "$jobs" \
        --output-on-failure --no-tests=error --no-label-summary --timeout 3600 </dev/null
    mkdir -p "$folder/programs"
    while IFS= read -r program; do
        printf '#!/bin/sh\nexec %s -L %s %s "$@"\n' "$qemu" "$tree/$folder/sysroot/root" "$tree/$program" \
            >"$folder/programs/${program##*/}"
        chmod +x "$folder/programs/${program##*/}"
    done < <(find "$folder/build" -type f \( -name kdnetd -o -name kdnetctl -o -name kdnet-target \) -perm -u+x)
    "$python" tests/demo/demo.py --programs "$folder/programs" --once --read-deadline 30s
}

run_all_tests() {
    regex=()
    if test "${1:-}" = fleet; then
        shift
        test_fleet "$@"
        return
    fi
    while test $# -gt 0; do
        case $1 in
        --soak)
            export KDNETD_SOAK=1
            regex=('^asan/soak/long$')
            ;;
        --systemd)
            test $# -le 2 || wrong "test --systemd takes a Debian, such as trixie, or nothing"
            shift
            test_systemd "$@"
            return
            ;;
        --package)
            test $# -eq 1 || wrong "test --package takes nothing more"
            test_package
            return
            ;;
        --cross)
            test $# -eq 2 || wrong "test --cross takes an architecture, such as arm64"
            test_cross "$2"
            return
            ;;
        -*) wrong "test does not know '$1'" ;;
        *)
            test ${#regex[@]} -eq 0 || wrong "test takes one regular expression, not also '$1'"
            regex=("$1")
            ;;
        esac
        shift
    done
    need "${packages_build[@]}" "${packages_test[@]}"
    export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1}
    export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
    export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1}
    lock test run_tests
}

# Coverage, by clang.

coverage() {
    regex=() add=
    while test $# -gt 0; do
        case $1 in
        --add) add=yes ;;
        -*) wrong "coverage does not know '$1'" ;;
        *)
            test ${#regex[@]} -eq 0 || wrong "coverage takes one regular expression, not also '$1'"
            regex=("$1")
            ;;
        esac
        shift
    done
    need "${packages_build[@]}" "${packages_test[@]}" "libclang-rt-$(clang_version)-dev" llvm
    lock coverage run_coverage
}

# Each process counts straight in a file of its program, which all its processes map: nothing waits at its end, and a
# process that is killed has counted. Programs with threads count by atomic operations.
run_coverage() {
    local options=(--output-on-failure --no-tests=error --no-label-summary --timeout 3600) status=0
    local counted="-fprofile-instr-generate=$tree/build/coverage/counts/%c%m.profraw -fcoverage-mapping"
    counted+=' -fprofile-update=atomic -mllvm -runtime-counter-relocation'
    test "${#regex[@]}" -eq 0 || options+=(-R "${regex[0]}")
    if ! grep -qs '^CMAKE_C_COMPILER:.*clang' build/coverage/CMakeCache.txt; then
        find build/coverage -mindepth 1 ! -name .lock -delete # another compiler's
    fi
    CC=clang make_preset debug coverage -DBUILD_TESTING=ON -DKDNETD_WERROR=OFF -DKDNETD_SHARED=OFF \
        -DKDNETD_FUZZ_ROUNDS=2000 -DCMAKE_C_FLAGS_DEBUG='-O1 -g' "-DCMAKE_C_FLAGS=$counted" \
        -DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld
    test -n "$add" || rm -rf build/coverage/counts
    unpack_servers
    # Those that run nothing of the product would change no figure.
    list_tests coverage/all 'coverage:coverage/:coverage/(house|model|docs|windows)/'
    ctest --test-dir build/coverage/all -E '^tree/' --parallel $((2 * jobs + 1)) "${options[@]}" </dev/null || status=$?
    "$python" -B tests/coverage/report.py build/coverage
    return $status
}
