/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remedies: what messages tell a person to do, and where things usually are, in the words of the system that the
 * program runs on. KDNETD_FOR_WINDOWS: in the words of Windows, for the example that its package has (tests/config).
 */
#ifndef CONFIG_REMEDIES_H
#define CONFIG_REMEDIES_H

#if defined _WIN32 || defined KDNETD_FOR_WINDOWS /* the same advice, with other commands */
#define REMEDY_PORTS          "netstat -abn -p udp"
#define REMEDY_ADDRESSES      "ipconfig"
#define REMEDY_PORT_RIGHT     "`netsh int ipv4 show excludedportrange udp` names the ports that Windows keeps for itself"
#define REMEDY_MORE_FILES     "end programs that hold many handles"
#define REMEDY_FILES_WISHED   "end programs that hold many handles; wished are %llu"
#define REMEDY_MORE_THREADS   "end programs that hold much memory"
#define REMEDY_LIMITS         "look at the memory of this computer"
#define REMEDY_LARGER_BUFFERS "free memory, and start kdnetd again; wished are %zu bytes"
/* Groups by their numbers, for their names differ by language: everybody, authenticated, interactive, users, guests;
 * administrators, the system. */
#define REMEDY_CLOSE_RIGHTS                                                                                            \
    "/inheritance:r /remove:g *S-1-1-0 *S-1-5-11 *S-1-5-4 *S-1-5-32-545 *S-1-5-32-546 /grant *S-1-5-32-544:F "         \
    "*S-1-5-18:F \"NT SERVICE\\kdnetd:R\""
#define REMEDY_CLOSE_FILE    "icacls FILE " REMEDY_CLOSE_RIGHTS
#define REMEDY_CLOSE_KEYS    REMEDY_CLOSE_FILE
#define REMEDY_CONFIGURATION PLACE_CONFIGURATION("kdnetd.yaml")
#define REMEDY_START         "kdnetd service start"
#define REMEDY_RESTART       "kdnetd service stop, kdnetd service start"
#define REMEDY_RELOAD        "kdnetd service reload"
#define REMEDY_STATUS        "kdnetd service status"
#define REMEDY_LOG           PLACE_LOG "\\kdnetd.log"
#define REMEDY_RIGHTS        "No right to act? Open the prompt as administrator."
#define REMEDY_CAPTURE       "pktmon start -c -m real-time      "

#define PLACE_CONFIGURATION(name) "C:\\ProgramData\\kdnetd\\" name
#define PLACE_SEPARATORS          "/\\"
#define PLACE_LOG                 "C:\\ProgramData\\kdnetd\\log"
#define PLACE_STATE               "C:\\ProgramData\\kdnetd\\state"
#define PLACE_IN_STATE(name)      PLACE_STATE "\\" name
#define PLACE_SYMBOLS             "D:\\symbols"
#define PLACE_SOCKET              "none"
#define WORDS_STATE               "the service's " PLACE_STATE
#define WORDS_SOCKET              "there is none on Windows; kdnetctl asks by http, with a token"
#define WORDS_SOCKET_UNSAID       NULL
#define WORDS_SOCKET_GROUP        "for Linux alone: Windows has no Unix socket"
#define WORDS_SOCKET_GROUP_UNSAID NULL
#define REMEDY_SOCKET             "none: Windows has no Unix socket"
#define WORDS_NO_SOCKET           "Windows has no Unix socket; use --url and --token-file"
#define WORDS_ASK_BY              "a Unix socket, which Windows does not have: use --url"
#define WORDS_OTHER_PLACE         "--url URL"
#define WORDS_NO_TOKEN            ""
#define WORDS_OR_SOCKET           ""
#define WORDS_AS_WHOM             "in a prompt that was opened as administrator"
#define REMEDY_ASK                "Ask with --token-file FILE."
#else
#define REMEDY_PORTS          "ss -ulpn"
#define REMEDY_ADDRESSES      "ip address"
#define REMEDY_PORT_RIGHT     "ports below 1024 need CAP_NET_BIND_SERVICE"
#define REMEDY_MORE_FILES     "raise the limit (LimitNOFILE=, ulimit -n)"
#define REMEDY_FILES_WISHED   "raise it with 'ulimit -n %llu'"
#define REMEDY_MORE_THREADS   "raise the limit (TasksMax=, ulimit -u; or of memory: MemoryMax=, ulimit -v)"
#define REMEDY_LIMITS         "look at the limits of this service (TasksMax=, LimitNOFILE=, MemoryMax=)"
#define REMEDY_LARGER_BUFFERS "sysctl -w net.core.rmem_max=%zu"
#define REMEDY_CLOSE_FILE     "chown root:kdnetd, chmod 640"
#define REMEDY_CLOSE_KEYS     "chmod o-rwx FILE (it may be readable by its group)"
#define REMEDY_CONFIGURATION  PLACE_CONFIGURATION("kdnetd.yaml")
#define REMEDY_START          "systemctl start kdnetd"
#define REMEDY_RESTART        "systemctl restart kdnetd"
#define REMEDY_RELOAD         "systemctl reload kdnetd"
#define REMEDY_STATUS         "systemctl status kdnetd"
#define REMEDY_LOG            "journalctl -u kdnetd"
#define REMEDY_RIGHTS         "No right to the socket? Be in the group kdnetd-operators, or root."
#define REMEDY_CAPTURE        "tcpdump -ni any udp port PORT     "

#define PLACE_CONFIGURATION(name) "/etc/kdnetd/" name
#define PLACE_SEPARATORS          "/"
#define PLACE_LOG                 "/var/log/kdnetd"
#define PLACE_STATE               "/var/lib/kdnetd"
#define PLACE_IN_STATE(name)      PLACE_STATE "/" name
#define PLACE_SYMBOLS             "/srv/symbols"
#define PLACE_SOCKET              "/run/kdnetd/kdnetd.sock"
#define WORDS_STATE               "$STATE_DIRECTORY"
#define WORDS_SOCKET              "Unix socket of the same, for kdnetctl on this computer"
#define WORDS_SOCKET_GROUP        "the group that may act through the Unix socket"
#define WORDS_SOCKET_GROUP_UNSAID "kdnetd-operators"
#define REMEDY_SOCKET             "a path, or none"
#define WORDS_NO_SOCKET           NULL
#define WORDS_ASK_BY              "kdnetd's Unix socket (KDNETD_SOCKET)"
#define WORDS_OTHER_PLACE         "--socket PATH or --url URL"
#define WORDS_NO_TOKEN            "; the Unix socket needs none"
#define WORDS_OR_SOCKET           ", or use the Unix socket"
#define WORDS_AS_WHOM             "as root"
#define REMEDY_ASK                "Ask by kdnetd's Unix socket."
#define WORDS_SOCKET_UNSAID       "kdnetd.sock in $RUNTIME_DIRECTORY, /run/kdnetd or $XDG_RUNTIME_DIR"
#endif

#endif
